package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// acceptable returns which of the media types the header Accept of a request prefers
// (RFC 9110, section 12.5.1): the first one if it prefers none, and "" if it accepts none
// of them. It ignores all parameters but q.
func acceptable(r *http.Request, offers ...string) string {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offers[0]
	}
	best, bestQ := "", 0.0
	for _, offer := range offers {
		if q := weightOf(header, offer); q > bestQ {
			best, bestQ = offer, q
		}
	}
	return best
}

// weightOf returns the weight that a header Accept gives to a media type: that of the
// most specific range that contains it, and 0 if no range does.
func weightOf(header, offer string) float64 {
	kind, _, _ := strings.Cut(offer, "/")
	weight, best := 0.0, 0
	for item := range strings.SplitSeq(header, ",") {
		given, params, err := mime.ParseMediaType(strings.TrimSpace(item))
		if err != nil {
			continue
		}
		specific := map[string]int{"*/*": 1, kind + "/*": 2, offer: 3}[given]
		if specific <= best {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		weight, best = q, specific
	}
	return weight
}
