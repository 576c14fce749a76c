package fsys

// ReadConfigOn is for tests on a simulated disk.
var ReadConfigOn = readConfig
