package server

// send leaves everything to gnet, which writes at once.
func (c *conn) send(iov [][]byte) [][]byte { return iov }

func openFiles() uint64 { return 0 } // there is no such limit
