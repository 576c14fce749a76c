package message

// Bits of a message's sysFlag. Java: MessageSysFlag.
const (
	SysFlagCompressed     = 0x1
	SysFlagMultiTags      = 0x2
	SysFlagPrepared       = 0x4
	SysFlagCommit         = 0x8
	SysFlagRollback       = 0xC
	SysFlagTransaction    = 0xC // mask of the three above
	SysFlagBornHostV6     = 0x10
	SysFlagStoreHostV6    = 0x20
	SysFlagNeedUnwrap     = 0x40
	SysFlagInnerBatch     = 0x80
	SysFlagCompressionMax = 0x700 // mask of the compression type
)
