package draft

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// negationWords are words that negate what stands beside them, in the languages that
	// people write. "didn't" and "n'a" are divided at the apostrophe.
	negationWords = words("no not non never kein keine keinen keiner nicht nie niemals pas ne n jamais sin nunca não nao sem senza без не ни geen niet zonder nie bez ikke inte ej icke utan uden nem ei değil belum tidak bukan không chưa नहीं" +
		" didn doesn don isn aren wasn weren hasn haven hadn won")
	// helperWords are auxiliary verbs and the like, which a negation may need or lose.
	helperWords = words("t did do does has have had is are was were be been will a ha hat hatte ist wurde wird war est été sera es está fue é foi è stato ha heeft is werd har er blev был была de d of to le la l il se s")
	// withWords are the words of which those of withoutWords at the same place are the
	// negation.
	withWords    = words("with mit avec con con com met z с med med")
	withoutWords = words("without ohne sans sin senza sem zonder bez без utan uden")
)

// negationMarks are written before or behind a word without a blank.
var negationMarks = []struct{ negated, affirmed, suffix string }{
	{negated: "没有"}, {negated: "没"}, {negated: "未"}, {negated: "不"}, {negated: "非"}, {negated: "无"}, {negated: "無"}, {negated: "미"}, {negated: "비"},
	{negated: "未", affirmed: "已"}, {negated: "没有", affirmed: "有"}, {negated: "没", affirmed: "有"}, {negated: "無", affirmed: "有"}, {negated: "无", affirmed: "有"},
	{negated: "なし", affirmed: "あり", suffix: "x"}, {negated: "なし", suffix: "x"}, {negated: "無し", affirmed: "有り", suffix: "x"},
}

// negates reports whether text is the negation of base, such as "no churn" of "churn",
// "n'a pas payé" of "a payé", "did not buy" of "bought or buy" or "ohne Schaden" of "mit
// Schaden". Both are in lower case.
func negates(text, base string) bool {
	for _, m := range negationMarks {
		cut := strings.CutPrefix
		if m.suffix != "" {
			cut = strings.CutSuffix
		}
		rest, negated := cut(text, m.negated)
		other, affirmed := cut(base, m.affirmed)
		if negated && affirmed && rest == other && rest != "" {
			return true
		}
	}
	t, b := wordsOf(text), wordsOf(base)
	if slices.ContainsFunc(t, isWithout) && slices.Equal(affirm(t, b), b) {
		return true
	}
	rest := without(t, negationWords)
	if len(rest) == len(t) || len(rest) == 0 || len(without(b, negationWords)) < len(b) {
		return false
	}
	if slices.Equal(rest, b) {
		return true
	}
	rest, b = without(rest, helperWords), without(b, helperWords)
	return len(rest) > 0 && len(rest) == len(b) && slices.EqualFunc(rest, b, sameStem)
}

func isWithout(word string) bool { return slices.Contains(withoutWords, word) }

// affirm returns t with the word of with, that base has at the same place, for without.
func affirm(t, base []string) []string {
	out := slices.Clone(t)
	for i, word := range out {
		for k, negated := range withoutWords {
			if word == negated && i < len(base) && base[i] == withWords[k] {
				out[i] = withWords[k]
			}
		}
	}
	return out
}

// wordsOf divides a text at all that is neither a letter nor a digit.
func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(word string) bool { return slices.Contains(some, word) })
}

// sameStem reports whether two words are the same, or one is the other with an ending:
// churn and churned.
func sameStem(a, b string) bool {
	const minStem, maxEnding = 4, 3
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, a)
	return ok && (rest == "" || utf8.RuneCountInString(a) >= minStem && utf8.RuneCountInString(rest) <= maxEnding)
}

// weakNegations are beginnings of words that are negated: which of the two is the event
// is open, as with active and inactive.
var weakNegations = words("un in im ir il dis non on o u ne nie не ikke")

// negatesWeakly reports whether text is base with such a beginning.
func negatesWeakly(text, base string) bool {
	const minBase = 4
	return utf8.RuneCountInString(base) >= minBase && slices.ContainsFunc(weakNegations, func(n string) bool { return text == n+base })
}

// negatedName says that a header such as not_churned is a negation, so that its yes
// is the opposite of the event.
func (c *column) negatedName() string {
	all := tokens(c.header)
	if len(all) < 2 || utf8.RuneCountInString(all[0]) < 2 || !slices.Contains(negationWords, all[0]) {
		return ""
	}
	return "; its name begins with \"" + all[0] + "\", so its yes means that the event did not happen"
}
