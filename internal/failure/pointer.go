package failure

import "strings"

// The replacers are made once: a list of bad rows has a hundred thousand names.
var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

// Pointer joins a prefix that ends with a slash, such as "/features/", and a
// name to a JSON Pointer (RFC 6901), in which the name is escaped. Without a
// prefix it returns the bare name.
func Pointer(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + escaper.Replace(name)
}

// LastName returns the last name of a JSON Pointer without its escapes. A bare
// name is returned as it is.
func LastName(pointer string) string {
	i := strings.LastIndexByte(pointer, '/')
	if i < 0 {
		return pointer
	}
	return unescaper.Replace(pointer[i+1:])
}
