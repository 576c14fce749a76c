//go:build race

package timer

// step is which of the images of the crash matrix are tried.
const step = 23
