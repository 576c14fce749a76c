package group

import (
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Groups that are there from the start. Java: MixAll.
const (
	Tools            = "TOOLS_CONSUMER"
	FilterSrv        = "FILTERSRV_CONSUMER"
	SelfTest         = "SELF_TEST_C_GROUP"
	OnsHTTPProxy     = "CID_ONS-HTTP-PROXY"
	OnsAPIPull       = "CID_ONSAPI_PULL"
	OnsAPIPermission = "CID_ONSAPI_PERMISSION"
	OnsAPIOwner      = "CID_ONSAPI_OWNER"
	SysTrans         = "CID_RMQ_SYS_TRANS"
	SystemPrefix     = "CID_RMQ_SYS_"
)

// maxLength keeps the names of retry topics, which hold group and topic, below 255.
// Java: TopicValidator.GROUP_MAX_LENGTH.
const maxLength = 120

const legalCharactersClass = "^[%|a-zA-Z0-9_-]+$"

// IsSystem reports whether a group is the broker's own. Java: MixAll.isSysConsumerGroup.
func IsSystem(group string) bool { return strings.HasPrefix(group, SystemPrefix) }

// PullsFreely reports whether a group may pull although rejectPullConsumerEnable is on: those of brokers and tools.
// Java: MixAll.isSysConsumerGroupPullMessage.
func PullsFreely(group string) bool {
	switch group {
	case "DEFAULT_CONSUMER", "SCHEDULE_CONSUMER", "__MONITOR_CONSUMER", "CID_SYS_RMQ_TRANS",
		Tools, FilterSrv, SelfTest, OnsHTTPProxy, OnsAPIPermission, OnsAPIOwner, OnsAPIPull:
		return true
	}
	return IsSystem(group)
}

// ValidateName returns why a group cannot have this name, in Java's words, or "".
// Java: TopicValidator.validateGroup.
func ValidateName(name string) string {
	if strings.TrimSpace(name) == "" {
		return "The specified group is blank."
	}
	for i := range len(name) {
		if !legal(name[i]) {
			return fmt.Sprintf("The specified group: %s, contains illegal characters, allowing only %s", name, legalCharactersClass)
		}
	}
	if len(name) > maxLength {
		return fmt.Sprintf("The specified group: %s, is longer than group max length: %d", name, maxLength)
	}
	return ""
}

func legal(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '%' || c == '|'
}

// defaults returns the groups that are there from the start. Java: SubscriptionGroupManager.init.
func defaults() map[string]*body.SubscriptionGroupConfig {
	out := map[string]*body.SubscriptionGroupConfig{}
	for _, name := range []string{Tools, FilterSrv, SelfTest, OnsHTTPProxy, OnsAPIPull, OnsAPIPermission, OnsAPIOwner, SysTrans} {
		out[name] = newConfig(name)
	}
	return out
}
