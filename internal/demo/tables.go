package demo

import (
	"math/rand/v2"
	"slices"
)

var (
	yesNo = []string{"no", "yes", "unknown"}
	days  = []string{"mon", "tue", "wed", "thu", "fri"}
)

var jobs = []share{
	{"admin.", 253}, {"blue-collar", 222}, {"technician", 163}, {"services", 96}, {"management", 70},
	{"retired", 46}, {"entrepreneur", 36}, {"self-employed", 35}, {"housemaid", 25}, {"unemployed", 24},
	{"student", 22}, {"unknown", 8},
}

// ages of each job, in years.
var ages = map[string]struct {
	mean, deviation float64
	least, most     int
}{
	"admin.":        {38, 9, 20, 66},
	"blue-collar":   {40, 9, 20, 66},
	"technician":    {39, 9, 20, 66},
	"services":      {38, 9, 20, 66},
	"management":    {42, 9, 24, 68},
	"retired":       {63, 9, 50, maxAge},
	"entrepreneur":  {42, 9, 22, 68},
	"self-employed": {40, 9, 21, 68},
	"housemaid":     {45, 11, 20, 70},
	"unemployed":    {40, 9, 19, 65},
	"student":       {25, 4, minAge, 34},
	"unknown":       {45, 11, 22, 80},
}

var educationByJob = map[string][]share{
	"admin.":        {{"university.degree", 55}, {"high.school", 32}, {"basic.9y", 5}, {"professional.course", 4}, {"basic.6y", 1}, {"basic.4y", 1}, {"unknown", 2}},
	"blue-collar":   {{"basic.9y", 40}, {"basic.4y", 24}, {"basic.6y", 15}, {"high.school", 9}, {"professional.course", 5}, {"unknown", 5}, {"university.degree", 1}, {"illiterate", 1}},
	"technician":    {{"professional.course", 49}, {"university.degree", 27}, {"high.school", 13}, {"basic.9y", 6}, {"unknown", 3}, {"basic.6y", 1}, {"basic.4y", 1}},
	"services":      {{"high.school", 67}, {"basic.9y", 10}, {"professional.course", 6}, {"basic.6y", 6}, {"university.degree", 4}, {"unknown", 4}, {"basic.4y", 3}},
	"management":    {{"university.degree", 70}, {"high.school", 10}, {"basic.9y", 6}, {"unknown", 5}, {"professional.course", 3}, {"basic.6y", 3}, {"basic.4y", 3}},
	"retired":       {{"basic.4y", 35}, {"university.degree", 17}, {"high.school", 15}, {"professional.course", 14}, {"basic.9y", 8}, {"unknown", 6}, {"basic.6y", 4}, {"illiterate", 1}},
	"entrepreneur":  {{"university.degree", 41}, {"high.school", 17}, {"basic.9y", 14}, {"professional.course", 10}, {"basic.4y", 9}, {"basic.6y", 5}, {"unknown", 4}},
	"self-employed": {{"university.degree", 55}, {"basic.9y", 15}, {"professional.course", 12}, {"high.school", 8}, {"basic.4y", 7}, {"unknown", 2}, {"basic.6y", 1}},
	"housemaid":     {{"basic.4y", 43}, {"high.school", 17}, {"university.degree", 13}, {"basic.9y", 9}, {"basic.6y", 7}, {"professional.course", 6}, {"unknown", 4}, {"illiterate", 1}},
	"unemployed":    {{"university.degree", 26}, {"high.school", 26}, {"basic.9y", 19}, {"professional.course", 13}, {"basic.4y", 11}, {"basic.6y", 3}, {"unknown", 2}},
	"student":       {{"high.school", 42}, {"university.degree", 20}, {"unknown", 18}, {"basic.9y", 11}, {"professional.course", 5}, {"basic.4y", 2}, {"basic.6y", 2}},
	"unknown":       {{"unknown", 39}, {"basic.4y", 16}, {"university.degree", 12}, {"high.school", 11}, {"basic.9y", 10}, {"basic.6y", 7}, {"professional.course", 4}, {"illiterate", 1}},
}

// maritalByAge holds shares for ages below each bound.
var maritalByAge = []struct {
	below  int
	shares []share
}{
	{22, []share{{"single", 960}, {"married", 35}, {"divorced", 3}, {"unknown", 2}}},
	{30, []share{{"single", 680}, {"married", 294}, {"divorced", 24}, {"unknown", 2}}},
	{40, []share{{"single", 340}, {"married", 568}, {"divorced", 90}, {"unknown", 2}}},
	{50, []share{{"single", 140}, {"married", 708}, {"divorced", 150}, {"unknown", 2}}},
	{70, []share{{"single", 56}, {"married", 772}, {"divorced", 170}, {"unknown", 2}}},
	{maxAge + 1, []share{{"single", 30}, {"married", 640}, {"divorced", 328}, {"unknown", 2}}},
}

func maritalOf(age int) []share {
	for _, group := range maritalByAge {
		if age < group.below {
			return group.shares
		}
	}
	panic("unreachable: no age is above the last bound")
}

// period is a month of a campaign with the economic indicators of that time.
// They are drawn as a whole, so that they never contradict each other.
type period struct {
	share                   int // of a thousand calls
	month                   string
	empVarRate              string
	consPriceIdx            string
	consConfIdx             string
	nrEmployed              string
	euriborLow, euriborHigh int // in thousandths; any value between them
	cellularPercent         int
	knownPercent            int // of customers with an earlier campaign
	successPercent          int // of those, how many subscribed then
}

// periods follow Portugal and the euro from 2008 to 2010: prosperity, the
// crisis with its falling interest, and the time after.
var periods = []period{
	{190, "may", "1.1", "93.994", "-36.4", "5191", 4855, 4864, 0, 1, 5},
	{105, "jun", "1.4", "94.465", "-41.8", "5228.1", 4864, 4967, 2, 1, 5},
	{162, "jul", "1.4", "93.918", "-42.7", "5228.1", 4955, 4968, 85, 2, 6},
	{125, "aug", "1.4", "93.444", "-36.1", "5228.1", 4962, 4970, 97, 4, 6},
	{88, "nov", "-0.1", "93.2", "-42", "5195.8", 3853, 4733, 90, 15, 8},
	{8, "mar", "-1.8", "92.843", "-50", "5099.1", 1510, 1811, 94, 20, 25},
	{60, "apr", "-1.8", "93.075", "-47.1", "5099.1", 1365, 1498, 93, 22, 10},
	{140, "may", "-1.8", "92.893", "-46.2", "5099.1", 1244, 1354, 92, 22, 8},
	{18, "jun", "-2.9", "92.963", "-40.8", "5076.2", 1099, 1286, 92, 24, 25},
	{6, "jul", "-2.9", "92.469", "-33.6", "5076.2", 899, 1085, 84, 26, 30},
	{20, "aug", "-2.9", "92.201", "-31.4", "5076.2", 821, 884, 91, 26, 30},
	{7, "sep", "-3.4", "92.379", "-29.8", "5017.5", 739, 819, 90, 30, 40},
	{11, "oct", "-3.4", "92.431", "-26.9", "5017.5", 720, 754, 88, 30, 40},
	{9, "nov", "-3.4", "92.649", "-30.1", "5017.5", 714, 722, 86, 35, 45},
	{5, "dec", "-3", "92.713", "-33", "5023.5", 700, 721, 86, 35, 45},
	{7, "mar", "-1.8", "93.369", "-34.8", "5008.7", 634, 655, 85, 38, 50},
	{5, "apr", "-1.8", "93.749", "-34.6", "5008.7", 635, 663, 87, 38, 50},
	{6, "may", "-1.8", "93.876", "-40", "5008.7", 668, 701, 81, 40, 50},
	{6, "jun", "-1.7", "94.055", "-39.8", "4991.6", 702, 767, 74, 42, 50},
	{8, "jul", "-1.7", "94.215", "-40.3", "4991.6", 782, 899, 79, 44, 50},
	{6, "aug", "-1.7", "94.027", "-38.3", "4991.6", 886, 905, 76, 46, 50},
	{8, "sep", "-1.1", "94.199", "-37.5", "4963.6", 876, 886, 79, 48, 50},
	{5, "oct", "-1.1", "94.601", "-49.5", "4963.6", 942, 1045, 83, 50, 50},
	{4, "nov", "-1.1", "94.767", "-50.8", "4963.6", 1028, 1050, 90, 50, 50},
}

func pickPeriod(random *rand.Rand) *period {
	total := 0
	for i := range periods {
		total += periods[i].share
	}
	at := random.IntN(total)
	for i := range periods {
		if at -= periods[i].share; at < 0 {
			return &periods[i]
		}
	}
	panic("unreachable: at is below the total")
}

func monthsOf(periods []period) []string {
	var months []string
	for i := range periods {
		if !slices.Contains(months, periods[i].month) {
			months = append(months, periods[i].month)
		}
	}
	return months
}
