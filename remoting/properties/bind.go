package properties

import (
	"cmp"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keys are names that are accepted without being bound to a field. Pass them to Bind among
// the targets to keep it from reporting them as unknown.
type Keys []string

// Bind copies values into the fields tagged `prop:"key"` of the targets, which are pointers
// to structs (embedded structs count as part of them) or Keys. A key that several targets
// have is set in each of them.
//
// Values are read as Java reads them (MixAll.properties2Object, 5.5.0):
//
//   - int (32 bits, as Java's int whatever Go's width), int32, int64: decimal digits with an
//     optional sign. Blanks after the number make it unreadable, as in Java.
//   - float64: decimal digits, blanks around them allowed.
//   - bool: "true" ignoring case, everything else is false.
//   - string and types based on it: blanks at both ends cut off.
//   - any type with UnmarshalText: gets the trimmed text. Enums refuse unknown names so.
//
// A value that cannot be read leaves the field as it was. The warnings, one sentence each,
// in the order of the file, report these values, truth values spelled other than true or
// false, and keys that no target knows but that resemble a known one. A last warning names
// the other unknown keys together: the configuration files that Java ships may start with
// an XML comment, each line of which is a key to Properties.load.
//
// Bind panics when a target is no such pointer or a tagged field has another type; that is
// a mistake in the program, not in its input.
func Bind(p *Properties, targets ...any) (warnings []string) {
	fields, known := index(targets)
	var strange []string
	for key, value := range p.All() {
		for _, f := range fields[key] {
			if w := f.set(value); w != "" && !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
		if known[key] {
			continue
		}
		if near := nearest(key, known); near != "" {
			warnings = append(warnings, fmt.Sprintf("unknown option %.40q is ignored, did you mean %s?", key, near))
		} else {
			strange = append(strange, key)
		}
	}
	if len(strange) > 0 {
		warnings = append(warnings, "unknown options are ignored: "+enumerate(strange))
	}
	return warnings
}

// List returns the current values of all tagged fields of the targets, sorted by key,
// spelled as Java prints them. When several targets have a key the last one wins, as in
// Java's Configuration.getAllConfigsInternal. A field tagged `prop:"key,omitempty"` is left
// out while it is the empty string: Java's null; one tagged `prop:"key,hidden"` always. Keys among the targets are skipped.
func List(targets ...any) []KV {
	var p Properties
	for _, t := range targets {
		for _, f := range fieldsOf(t) {
			if text := f.text(); !f.hidden && (text != "" || !f.omitEmpty) {
				p.Set(f.key, text)
			}
		}
	}
	slices.SortFunc(p.entries, func(a, b KV) int { return cmp.Compare(a.Key, b.Key) })
	return p.entries
}

// Names returns the keys that the targets know: those of their tagged fields and those of
// Keys among them, sorted, each once.
func Names(targets ...any) Keys {
	_, known := index(targets)
	return slices.Sorted(maps.Keys(known))
}

// index returns the fields of all targets by key, and every name that is known.
func index(targets []any) (fields map[string][]field, known map[string]bool) {
	fields, known = map[string][]field{}, map[string]bool{}
	for _, t := range targets {
		if keys, ok := t.(Keys); ok {
			for _, k := range keys {
				known[k] = true
			}
		}
		for _, f := range fieldsOf(t) {
			fields[f.key] = append(fields[f.key], f)
			known[f.key] = true
		}
	}
	return fields, known
}

// field is one tagged struct field of a target.
type field struct {
	key       string
	omitEmpty bool
	hidden    bool
	value     reflect.Value
}

func fieldsOf(target any) []field {
	if _, ok := target.(Keys); ok {
		return nil
	}
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("BUG: properties target %T is not a pointer to a struct", target))
	}
	return appendFields(nil, v.Elem())
}

func appendFields(fields []field, v reflect.Value) []field {
	for sf, fv := range v.Fields() {
		tag, tagged := sf.Tag.Lookup("prop")
		switch {
		case tagged:
			key, option, _ := strings.Cut(tag, ",")
			if !sf.IsExported() || !bindable(fv) || key == "" || (option != "" && option != "omitempty" && option != "hidden") {
				panic(fmt.Sprintf("BUG: field %s.%s %s cannot be bound to tag %q", v.Type(), sf.Name, sf.Type, tag))
			}
			fields = append(fields, field{key: key, omitEmpty: option == "omitempty", hidden: option == "hidden", value: fv})
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct:
			fields = appendFields(fields, fv)
		}
	}
	return fields
}

// bindable tells whether set and text know the type. time.Duration is an int64 underneath
// but the numbers of a file are milliseconds or seconds, so it is refused.
func bindable(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64:
		return v.Type() != reflect.TypeFor[time.Duration]()
	case reflect.Float64, reflect.Bool, reflect.String:
		return true
	}
	return false
}

// set gives the field a value and returns a warning or "".
func (f field) set(value string) string {
	trimmed := javaTrim(value)
	if u, ok := f.value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		old := reflect.New(f.value.Type()).Elem()
		old.Set(f.value)
		if err := u.UnmarshalText([]byte(trimmed)); err != nil {
			f.value.Set(old)
			return fmt.Sprintf("cannot set %s: %v, keeping %s", f.key, err, f.text())
		}
		return ""
	}
	switch f.value.Kind() {
	case reflect.String:
		f.value.SetString(trimmed)
	case reflect.Bool:
		on := strings.EqualFold(value, "true")
		f.value.SetBool(on)
		if !on && !strings.EqualFold(value, "false") {
			return fmt.Sprintf("%s=%.80q is not true or false, it means false", f.key, value)
		}
	case reflect.Float64:
		n, err := parseJavaDouble(trimmed)
		if err != nil {
			return f.unreadable(value, "number")
		}
		f.value.SetFloat(n)
	default:
		n, err := strconv.ParseInt(value, 10, f.bits())
		if err != nil {
			return f.unreadable(value, fmt.Sprintf("%d-bit integer", f.bits()))
		}
		f.value.SetInt(n)
	}
	return ""
}

// bits is the width of the Java type behind an integer field: int, or long for int64.
func (f field) bits() int {
	if f.value.Kind() == reflect.Int64 {
		return 64
	}
	return 32
}

func (f field) unreadable(value, want string) string {
	hint := ""
	if trimmed := javaTrim(value); trimmed != value && trimmed != "" {
		hint = " (remove the blanks around it)"
	}
	return fmt.Sprintf("%s=%.80q is not a %s%s, keeping %s", f.key, value, want, hint, f.text())
}

// text spells the current value as Java's toString would.
func (f field) text() string {
	if m, ok := f.value.Addr().Interface().(encoding.TextMarshaler); ok {
		// An option that cannot be spelled is shown empty rather than failing the list.
		b, _ := m.MarshalText()
		return string(b)
	}
	switch f.value.Kind() {
	case reflect.String:
		return f.value.String()
	case reflect.Bool:
		return strconv.FormatBool(f.value.Bool())
	case reflect.Float64:
		return formatJavaDouble(f.value.Float())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(f.value.Int(), 10)
	default:
		return fmt.Sprint(f.value.Interface())
	}
}
