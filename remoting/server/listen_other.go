//go:build !linux

package server

import (
	"errors"

	"github.com/panjf2000/gnet/v2"
)

func listenerFD(gnet.Engine, string) (int, error) { return -1, errors.ErrUnsupported }

func stopListening(int) error { return errors.ErrUnsupported }
