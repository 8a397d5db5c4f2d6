package config

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Age is a time in days or in the units of a Duration: 90d, 36h. Zero is 0.
type Age time.Duration

// Decode implements envconfig.Decoder.
func (a *Age) Decode(text string) error {
	const day = 24 * time.Hour
	fault := errors.New("must be 0 or a time such as 90d or 36h")
	digits, inDays := strings.CutSuffix(text, "d")
	if inDays || text == "0" {
		days, err := strconv.ParseUint(digits, 10, 15)
		if err != nil {
			return fault
		}
		*a = Age(time.Duration(days) * day)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute {
		return fault
	}
	*a = Age(d)
	return nil
}

// MaturityAge returns the age from which predictions count; negative: it is learned.
func (c OutcomeConfig) MaturityAge() (time.Duration, error) {
	if c.Maturity == "" {
		return -1, nil
	}
	fault := errors.New("must be a time such as 14d, 36h or 0")
	if digits, inDays := strings.CutSuffix(c.Maturity, "d"); inDays || c.Maturity == "0" {
		days, err := strconv.ParseUint(digits, 10, 15)
		if err != nil {
			return 0, fault
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(c.Maturity)
	if err != nil || d < 0 {
		return 0, fault
	}
	return d, nil
}

// Bytes is a size, written as 1048576, 512KiB, 1MiB or 1Mi.
type Bytes int64

// byteUnits are the units of sizes. Kubernetes writes Mi for MiB.
var byteUnits = []string{"", "Ki", "Mi", "Gi", "Ti"}

// Decode implements envconfig.Decoder.
func (b *Bytes) Decode(text string) error {
	digits := strings.TrimRight(text, "KMGTiB")
	unit := slices.Index(byteUnits, strings.TrimSuffix(text[len(digits):], "B"))
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if unit < 0 || text == digits+"B" || err != nil || n <= 0 {
		return errors.New("must be a size above zero, such as 512KiB, 1MiB or 4Gi")
	}
	shift := 10 * unit
	if n > math.MaxInt64>>shift {
		return errors.New("is larger than any file can be")
	}
	*b = Bytes(n << shift)
	return nil
}

// String writes a size with the largest unit that it is a multiple of.
func (b Bytes) String() string {
	unit := 0
	for ; unit < len(byteUnits)-1 && b != 0 && b%1024 == 0; b /= 1024 {
		unit++
	}
	text := strconv.FormatInt(int64(b), 10) + byteUnits[unit]
	if unit > 0 {
		text += "B"
	}
	return text
}
