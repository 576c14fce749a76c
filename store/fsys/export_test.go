package fsys

// For tests on a simulated disk.
var (
	WriteConfigOn = writeConfig
	ReadConfigOn  = readConfig
)
