package protocol

import (
	"errors"
	"fmt"
)

// Error is the only error that reaches a peer as itself: its code and remark become the response's.
// Any other error becomes SYSTEM_ERROR with the error's text.
type Error struct {
	Code   int32
	Remark string
}

// Error returns the remark with the code.
func (e *Error) Error() string { return fmt.Sprintf("code %d: %s", e.Code, e.Remark) }

// Errorf returns an *Error with a formatted remark.
func Errorf(code int32, format string, args ...any) *Error {
	return &Error{Code: code, Remark: fmt.Sprintf(format, args...)}
}

// ErrorResponse returns the response that tells a peer of err.
func ErrorResponse(err error) *Command {
	var pe *Error
	if errors.As(err, &pe) {
		return NewResponse(pe.Code, pe.Remark)
	}
	return NewResponse(SystemError, err.Error())
}
