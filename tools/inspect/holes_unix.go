//go:build unix

package inspect

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// dataAt returns the next extent of data at or behind at, [to, to) when there is none. Where the file
// system does not tell holes all is data.
func dataAt(f *os.File, at, to int64) (int64, int64) {
	begin, err := f.Seek(at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return to, to
	}
	if err != nil || begin < at {
		return at, to
	}
	end, err := f.Seek(begin, unix.SEEK_HOLE)
	if err != nil || end <= begin {
		end = to
	}
	return min(begin, to), min(end, to)
}
