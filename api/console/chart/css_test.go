package chart

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	cssBlock    = regexp.MustCompile(`(?s)(?:@media ([^{]*)\{\s*)?:root \{(.*?)\}`)
	cssProperty = regexp.MustCompile(`--chart-([a-z0-9-]+): (#[0-9a-f]{6});`)
	cssClass    = regexp.MustCompile(`\.(chart[a-z0-9-]*)`)
	svgClass    = regexp.MustCompile(`class="([^"]*)"`)
)

// TestContrast holds the colours to WCAG 2.2: 4.5 for text (1.4.3), 3 for graphics
// (1.4.11). Lines have 4.5, too, because they are thin.
func TestContrast(t *testing.T) {
	blocks := cssBlock.FindAllStringSubmatch(Stylesheet, -1)
	themes := 0
	for _, block := range blocks {
		colours := map[string]string{}
		for _, property := range cssProperty.FindAllStringSubmatch(block[2], -1) {
			colours[property[1]] = property[2]
		}
		if strings.Contains(block[1], "forced-colors") {
			if len(colours) > 0 {
				t.Errorf("forced colours are set: %v", colours)
			}
			continue
		}
		themes++
		if len(colours) != 14 {
			t.Errorf("theme %q has %d colours, want 14", block[1], len(colours))
		}
		for name, colour := range colours {
			least := 4.5
			switch name {
			case "surface":
				continue
			case "gridline", "axis":
				least = 3
			}
			if got := contrast(t, colour, colours["surface"]); got < least {
				t.Errorf("theme %q: --chart-%s has a contrast of %.2f, want %v", block[1], name, got, least)
			}
		}
	}
	if themes != 3 {
		t.Errorf("%d themes, want light, dark and print", themes)
	}
}

// contrast is that of WCAG 2.2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			sum += weight * v / 12.92
		} else {
			sum += weight * math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return sum
}

// TestClasses finds classes that the stylesheet lacks, and rules of classes that
// no picture has.
func TestClasses(t *testing.T) {
	styled, drawn := map[string]bool{}, map[string]bool{}
	for _, match := range cssClass.FindAllStringSubmatch(Stylesheet, -1) {
		styled[match[1]] = true
	}
	charts := samples()
	charts["message"] = Line{}
	for _, chart := range charts {
		for _, match := range svgClass.FindAllStringSubmatch(string(chart.SVG("a")), -1) {
			for _, class := range strings.Fields(match[1]) {
				drawn[class] = true
			}
		}
	}
	for class := range drawn {
		if !styled[class] {
			t.Errorf("the stylesheet lacks .%s", class)
		}
	}
	for class := range styled {
		if !drawn[class] && class != "chart-figure" { // which the page has
			t.Errorf("no picture has .%s", class)
		}
	}
}
