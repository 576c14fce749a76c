package protocol

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// The header codec. A header is a struct whose fields carry `rmq:"wireName"` or
// `rmq:"wireName,required"` (Java: @CFNotNull). Field types: string, bool, int32, int64, float64, and
// pointers to the last four and to string where absent and zero differ.
//
// Decoding is one pass over the ext fields: the next expected field is tried first, then a map, so the
// cost does not depend on the peer's order. Plans are built once per type.

type plan struct {
	fields []planField
	byName map[string]int
}

type planField struct {
	name     string
	index    []int
	kind     reflect.Kind // of the value, behind the pointer if there is one
	pointer  bool
	required bool
}

var plans sync.Map // reflect.Type -> *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{byName: map[string]int{}}
	p.add(t, nil)
	got, _ := plans.LoadOrStore(t, p)
	return got.(*plan)
}

func (p *plan) add(t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), prefix...), i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			p.add(f.Type, index)
			continue
		}
		name, opts, _ := strings.Cut(f.Tag.Get("rmq"), ",")
		if name == "" {
			continue
		}
		pf := planField{name: name, index: index, kind: f.Type.Kind(), required: opts == "required"}
		if pf.kind == reflect.Pointer {
			pf.pointer, pf.kind = true, f.Type.Elem().Kind()
		}
		switch pf.kind {
		case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64:
		default:
			panic(fmt.Sprintf("BUG: header %s: field %s has a type that has no wire form", t, f.Name))
		}
		p.byName[name] = len(p.fields)
		p.fields = append(p.fields, pf)
	}
}

// DecodeHeader fills the header struct that h points to from ext. Unknown fields are ignored.
// A required field that is missing, or a value that does not parse, is an *Error with code
// SYSTEM_ERROR that names the field (Java answers 1 with a NullPointerException's text). Whatever did
// parse is set all the same, so a handler that can do without the rest may ignore the error: older
// peers leave out fields that newer headers require.
func DecodeHeader(ext Ext, h any) error {
	v := reflect.ValueOf(h).Elem()
	p := planOf(v.Type())
	var seen uint64
	var bad error
	next := 0
	for i := range ext {
		at := next
		if at >= len(p.fields) || p.fields[at].name != ext[i].Key {
			var ok bool
			if at, ok = p.byName[ext[i].Key]; !ok {
				continue
			}
		}
		next = at + 1
		if err := p.fields[at].set(v, ext[i].Value); err != nil && bad == nil {
			bad = err
		}
		seen |= 1 << uint(at&63)
	}
	if bad != nil {
		return bad
	}
	for i := range p.fields {
		if p.fields[i].required && seen&(1<<uint(i&63)) == 0 {
			return Errorf(SystemError, "the custom field <%s> is null", p.fields[i].name)
		}
	}
	return nil
}

func (f *planField) set(v reflect.Value, s string) error {
	dst := v.FieldByIndex(f.index)
	if f.pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch f.kind {
	case reflect.String:
		dst.SetString(s)
	case reflect.Bool:
		// Boolean.parseBoolean: anything but "true" is false.
		dst.SetBool(s == "true" || strings.EqualFold(s, "true"))
	case reflect.Float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return badField(f.name, s)
		}
		dst.SetFloat(n)
	default:
		bits := 64
		if f.kind == reflect.Int32 {
			bits = 32
		}
		n, err := strconv.ParseInt(s, 10, bits)
		if err != nil {
			return badField(f.name, s)
		}
		dst.SetInt(n)
	}
	return nil
}

func badField(name, value string) *Error {
	if len(value) > 64 {
		value = value[:64] + "..."
	}
	return Errorf(SystemError, "the custom field <%s> has the illegal value %q", name, value)
}

// AppendHeader appends the fields of h, a struct or a pointer to one, to dst. Nil pointers and empty
// strings that are not required are left out, as Java leaves out nulls.
func AppendHeader(dst Ext, h any) Ext {
	v := reflect.Indirect(reflect.ValueOf(h))
	p := planOf(v.Type())
	for i := range p.fields {
		f := &p.fields[i]
		src := v.FieldByIndex(f.index)
		if f.pointer {
			if src.IsNil() {
				continue
			}
			src = src.Elem()
		}
		var s string
		switch f.kind {
		case reflect.String:
			if s = src.String(); s == "" && !f.pointer && !f.required {
				continue
			}
		case reflect.Bool:
			s = strconv.FormatBool(src.Bool())
		case reflect.Float64:
			s = strconv.FormatFloat(src.Float(), 'f', -1, 64)
		default:
			s = strconv.FormatInt(src.Int(), 10)
		}
		dst = append(dst, Field{f.name, s})
	}
	return dst
}
