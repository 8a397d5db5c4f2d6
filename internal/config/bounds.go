package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A setting that is a number, a time or a size has its bounds in tags: min and
// max, and more for a bound that is not itself allowed. Values are written as
// the setting's own.

// number is a setting that has bounds.
type number struct {
	name  string // of the variable
	value reflect.Value
	tag   reflect.StructTag
}

// numbers lists the settings that are numbers, times or sizes.
func (c *Config) numbers() []number {
	names := settingNames() // in the order of the fields
	var all []number
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			field, value := v.Type().Field(i), v.Field(i)
			if !field.IsExported() {
				continue
			}
			if value.Kind() == reflect.Struct {
				walk(value)
				continue
			}
			switch value.Kind() {
			case reflect.Int, reflect.Int64, reflect.Float64:
				all = append(all, number{names[0], value, field.Tag})
			}
			names = names[1:]
		}
	}
	walk(reflect.ValueOf(c).Elem())
	return all
}

// checkNumbers reports every number that is out of its bounds.
func (c *Config) checkNumbers(fault func(name, format string, args ...any)) {
	for _, n := range c.numbers() {
		name, text := strings.TrimPrefix(n.name, Prefix+"_"), show(n.value)
		value := asFloat(n.value)
		more, hasMore := n.bound("more")
		least, hasMin := n.bound("min")
		most, hasMax := n.bound("max")
		switch {
		case hasMore && !(value > more):
			fault(name, "%s must be above %s", text, n.tag.Get("more"))
		case hasMin && !(value >= least):
			fault(name, "%s must be at least %s", text, n.tag.Get("min"))
		case hasMax && !(value <= most):
			fault(name, "%s must be at most %s", text, n.tag.Get("max"))
		}
	}
}

// bound reads a tag. A tag that cannot be read is an error in the program.
func (n number) bound(key string) (float64, bool) {
	text, ok := n.tag.Lookup(key)
	if !ok {
		return 0, false
	}
	bound := reflect.New(n.value.Type())
	var err error
	switch b := bound.Interface().(type) {
	case *time.Duration:
		*b, err = time.ParseDuration(text)
	case *Bytes:
		err = b.Decode(text)
	case *Age:
		err = b.Decode(text)
	case *float64:
		*b, err = strconv.ParseFloat(text, 64)
	default:
		var i int64
		i, err = strconv.ParseInt(text, 10, 64)
		bound.Elem().SetInt(i)
	}
	if err != nil {
		panic(fmt.Sprintf("%s: tag %s: %v", n.name, key, err))
	}
	return asFloat(bound.Elem()), true
}

func asFloat(v reflect.Value) float64 {
	if v.CanFloat() {
		return v.Float()
	}
	return float64(v.Int())
}

// show prints a number as its setting has it.
func show(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String()
	}
	return fmt.Sprint(v.Interface())
}
