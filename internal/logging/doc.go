// Package logging is the log of a gateway. A Writer writes lines in the
// background, so that a reader that is slow or gone never holds up a request.
package logging
