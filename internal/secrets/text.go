package secrets

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Text returns the text of a secret without surrounding blanks and a byte order mark,
// which some tools add. It decodes UTF-16 with a byte order mark.
func Text(s Secret) string {
	text := s.Reveal()
	switch {
	case strings.HasPrefix(text, "\xff\xfe"):
		text = fromUTF16(text[2:], binary.LittleEndian)
	case strings.HasPrefix(text, "\xfe\xff"):
		text = fromUTF16(text[2:], binary.BigEndian)
	default:
		text = strings.TrimPrefix(text, "\ufeff")
	}
	return strings.TrimSpace(text)
}

func fromUTF16(text string, order binary.ByteOrder) string {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16([]byte(text[2*i : 2*i+2]))
	}
	return string(utf16.Decode(units))
}
