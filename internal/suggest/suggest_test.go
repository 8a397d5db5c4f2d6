package suggest

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	known := []string{"num_round", "eta", "gamma", "max_depth", "euribor3m", "y"}
	tests := []struct{ name, want string }{
		{"num_rounds", "num_round"},
		{"num_rond", "num_round"},
		{"gama", "gamma"},
		{"GAMMA", "gamma"},
		{"Eta", "eta"},
		{"euribor", "euribor3m"},
		{"maxdepth", "max_depth"},
		{"something_else", ""},
		{"ab", ""}, // every byte of it would change
		{"", ""},
		{strings.Repeat("x", 65), ""},
	}
	for _, tt := range tests {
		if got := Closest(tt.name, known); got != tt.want {
			t.Errorf("%q suggests %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := Closest("color", []string{"colour", "colors"}); got != "colour" {
		t.Errorf("of two as close, %q is suggested, want the first", got)
	}
	if long := strings.Repeat("a", 65); Closest(long, []string{long}) != "" {
		t.Error("a name of 65 bytes is compared")
	}
	if long := strings.Repeat("a", 64); Closest(long, []string{long[1:]}) == "" {
		t.Error("a name of 64 bytes is not compared")
	}
}

func TestEditDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"kitten", "sitting", 3},
		{"ca", "abc", 3},
		{"flaw", "lawn", 2},
		{"abcdef", "badcfe", 4},
	}
	for _, tt := range tests {
		if got := editDistance(tt.a, tt.b, 100); got != tt.want {
			t.Errorf("%q to %q is %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := editDistance(tt.b, tt.a, 100); got != tt.want {
			t.Errorf("%q to %q is %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
	if got := editDistance("a", "abcdef", 3); got != 3 {
		t.Errorf("beyond the limit it is %d, want the limit", got)
	}
}
