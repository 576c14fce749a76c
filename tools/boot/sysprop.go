package boot

import (
	"os"
	"strings"
)

// splitterProperty names what stands between the folders of storePathCommitLog. Java: MixAll.MULTI_PATH_SPLITTER.
const splitterProperty = "rocketmq.broker.multiPathSplitter"

// systemProperty returns what the environment sets a Java system property to, "" when it does not: Java's start
// scripts and images pass these variables on, and people set -D options there.
func systemProperty(name string) string {
	value := ""
	for _, env := range []string{"JAVA_OPTS", "JAVA_OPT", "JAVA_OPT_EXT"} {
		for _, option := range strings.Fields(os.Getenv(env)) {
			if v, ok := strings.CutPrefix(option, "-D"+name+"="); ok {
				value = v
			}
		}
	}
	return value
}
