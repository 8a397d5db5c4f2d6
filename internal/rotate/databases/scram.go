package databases

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

const (
	scramIterations = 4096 // PostgreSQL's own number, and the minimum of RFC 7677
	scramSaltBytes  = 16
)

// scramVerifier returns what PostgreSQL stores instead of a password:
//
//	SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
//
// with the salt and the keys in base64. The keys are those of RFC 5802, section 3, with
// SHA-256 (RFC 7677); the format is PostgreSQL's (pg_authid, column rolpassword). The password
// must consist of visible ASCII characters, which SASLprep (RFC 4013) leaves as they are.
func scramVerifier(password string) (string, error) {
	salt := make([]byte, scramSaltBytes)
	_, _ = rand.Read(salt) // it never fails
	return scramVerifierWith(password, salt, scramIterations)
}

func scramVerifierWith(password string, salt []byte, iterations int) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	for i := range len(password) {
		if password[i] <= ' ' || password[i] > '~' {
			return "", errors.New("the password must consist of visible ASCII characters")
		}
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	base := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, base(salt), base(stored[:]), base(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
