package fsys

// For tests on a simulated disk.
var (
	WriteConfigOn = WriteConfigIn
	ReadConfigOn  = readConfig
)
