package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
)

// keys makes the signatures of one day. They share the signing key that is derived
// from the secret and the day.
type keys struct {
	day     [8]byte
	signers sync.Pool
}

// signer is the working memory of one signature.
type signer struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

// keysOf returns the keys of a day.
func (tmpl *RequestTemplate) keysOf(day [8]byte) *keys {
	if k := tmpl.keys.Load(); k != nil && k.day == day {
		return k
	}
	key := []byte("AWS4" + tmpl.secret)
	mac := func(text string) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		key = h.Sum(nil)
	}
	mac(string(day[:]))
	for part := range strings.SplitSeq(tmpl.scope[1:], "/") {
		mac(part)
	}
	k := &keys{day: day}
	k.signers.New = func() any { return &signer{mac: hmac.New(sha256.New, key)} }
	tmpl.keys.Store(k)
	return k
}

// sign returns the signature of a request, in hexadecimal, and its date.
func (tmpl *RequestTemplate) sign(v *Values, body []byte) (at stamped, signed [2 * sha256.Size]byte) {
	v.Time.UTC().AppendFormat(at[:0], timeFormat)
	k := tmpl.keysOf([8]byte(at[:8]))
	s := k.signers.Get().(*signer)
	defer k.signers.Put(s)

	s.sum = sha256.Sum256(body)
	b := fill(s.buf[:0], tmpl.canonical, v, len(body), &at, nil)
	b = hex.AppendEncode(b, s.sum[:])
	s.sum = sha256.Sum256(b)

	b = append(b[:0], algorithm+"\n"...)
	b = append(b, at[:]...)
	b = append(b, '\n')
	b = append(b, at[:8]...)
	b = append(b, tmpl.scope...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, s.sum[:])
	s.buf = b

	s.mac.Reset()
	s.mac.Write(b)
	hex.Encode(signed[:], s.mac.Sum(s.sum[:0]))
	return at, signed
}
