package inspect

import "os"

// dataAt returns the next extent of data: all is taken for data.
func dataAt(_ *os.File, at, to int64) (int64, int64) { return at, to }
