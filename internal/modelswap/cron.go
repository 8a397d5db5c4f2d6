package modelswap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// cronFields are the fields of a cron line.
var cronFields = []string{"minute", "hour", "day of the month", "month", "day of the week"}

// ParseSchedule reads a cron line: minute, hour, day of the month, month and day
// of the week (0 and 7 are Sunday), or a word such as @daily. Times are UTC, so
// that no change to summer time repeats or skips a tick. An error names the wrong
// field.
func ParseSchedule(line string) (cron.Schedule, error) {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("schedule %q: %s", line, fmt.Sprintf(format, args...))
	}
	if strings.Contains(line, "TZ=") {
		return nil, fault("times are UTC; leave out the time zone")
	}
	fields := strings.Fields(line)
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		if fields[0] == "@every" {
			return nil, fault("write it as a cron line, such as 0 */6 * * * for every six hours")
		}
		schedule, err := cron.ParseStandard(strings.Join(fields, " "))
		if err != nil {
			return nil, fault("%s is not one of @yearly, @monthly, @weekly, @daily and @hourly", fields[0])
		}
		return schedule, nil
	}
	if len(fields) != len(cronFields) {
		return nil, fault("it has %d fields; a cron line has five (%s), such as 30 2 * * 1 for Mondays at 02:30 UTC",
			len(fields), strings.Join(cronFields, ", "))
	}
	fields[4] = sundayIsZero(fields[4])
	for i, name := range cronFields {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = fields[i]
		if _, err := cron.ParseStandard(strings.Join(alone, " ")); err != nil {
			return nil, fault("the %s %q cannot be read: %v", name, strings.Fields(line)[i], err)
		}
	}
	schedule, err := cron.ParseStandard(strings.Join(fields, " "))
	if err != nil {
		return nil, fault("%v", err)
	}
	if schedule.Next(time.Now().UTC()).IsZero() {
		return nil, fault("there is no such day")
	}
	return schedule, nil
}

// sundayIsZero rewrites a day of the week: 7 is Sunday in cron(8), but the parser
// does not accept it. A range up to 7 becomes a list. Text that is not a day of
// the week is returned unchanged, for the parser to refuse.
func sundayIsZero(field string) string {
	items := strings.Split(field, ",")
	for i, item := range items {
		days, step, hasStep := strings.Cut(item, "/")
		from, to, isRange := strings.Cut(days, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		if to != "7" || err != nil || first < 0 || first > 7 {
			continue
		}
		every := 1
		if hasStep {
			if every, err = strconv.Atoi(step); err != nil || every < 1 {
				continue
			}
		}
		var list []string
		for day := first; day <= 7; day += every {
			if text := strconv.Itoa(day % 7); !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
		items[i] = strings.Join(list, ",")
	}
	return strings.Join(items, ",")
}
