package databases

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

// The example of RFC 7677, section 3.
func TestTheVerifierFitsTheExampleOfTheRFC(t *testing.T) {
	const (
		salt    = "W22ZaJ0SNY7soEsUEjb6gQ=="
		message = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		clientProof     = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		serverSignature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	decode := func(text string) []byte {
		t.Helper()
		out, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	verifier, err := scramVerifierWith("pencil", decode(salt), 4096)
	if err != nil {
		t.Fatal(err)
	}
	keys, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$4096:"+salt+"$")
	storedText, serverText, two := strings.Cut(keys, ":")
	if !ok || !two {
		t.Fatalf("the verifier is %q", verifier)
	}
	stored := decode(storedText)
	if got := base64.StdEncoding.EncodeToString(mac(decode(serverText), message)); got != serverSignature {
		t.Errorf("the server's signature is %s, want %s", got, serverSignature)
	}
	// The server computes the client's key from the proof, and compares its hash.
	key := decode(clientProof)
	for i, b := range mac(stored, message) {
		key[i] ^= b
	}
	if sum := sha256.Sum256(key); string(sum[:]) != string(stored) {
		t.Error("the stored key is not the hash of the client's key")
	}
}

func TestAVerifierNeedsAPasswordThatSASLprepLeavesAlone(t *testing.T) {
	for _, password := range []string{"", "a b", "hunter2-ü", "tab\t"} {
		if _, err := scramVerifier(password); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want an error without the password", password, err)
		}
	}
}
