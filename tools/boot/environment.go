package boot

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/namesrv"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/tools/config"
)

// Java system properties that mean what a key means.
const (
	namesrvAddrProperty  = "rocketmq.namesrv.addr" // Java: MixAll.NAMESRV_ADDR_PROPERTY
	homeProperty         = "rocketmq.home.dir"     // Java: MixAll.ROCKETMQ_HOME_PROPERTY
	userHomeProperty     = "user.home"
	domainProperty       = "rocketmq.namesrv.domain"
	subgroupProperty     = "rocketmq.namesrv.domain.subgroup"
	warningLevelProperty = "rocketmq.broker.diskSpaceWarningLevelRatio"  // 0 to 1. Java: DefaultMessageStore.CleanCommitLogService
	cleanForciblyRatio   = "rocketmq.broker.diskSpaceCleanForciblyRatio" // 0 to 1
)

// envPrefix begins the environment variables that set a key: SKYLARK_BROKER_IP1, or SKYLARK_brokerIP1, for brokerIP1,
// SKYLARK_HTTP_LISTEN for skylarkHttpListen.
const envPrefix = "SKYLARK_"

// namesrvEnvironment gives defaults that the environment changes; the file goes before them.
func namesrvEnvironment(o *namesrv.Options) {
	o.AddressServerSubGroup = systemProperty(subgroupProperty)
	o.RocketmqHome = cmp.Or(systemProperty(homeProperty), os.Getenv("ROCKETMQ_HOME"), o.RocketmqHome)
	if home := systemProperty(userHomeProperty); home != "" {
		o.KVConfigPath = filepath.Join(home, "namesrv", "kvConfig.json")
		o.ConfigStorePath = filepath.Join(home, "namesrv", "namesrv.properties")
	}
}

// brokerEnvironment does the same for a broker. POD_IP and the names in capitals are those that the Kubernetes
// operator gives its containers.
func brokerEnvironment(log zerolog.Logger, o *broker.Options) {
	o.NamesrvAddr = cmp.Or(systemProperty(namesrvAddrProperty), o.NamesrvAddr)
	o.RocketmqHome = cmp.Or(systemProperty(homeProperty), o.RocketmqHome)
	o.Store.MultiPathSplitter = systemProperty(splitterProperty)
	if home := systemProperty(userHomeProperty); home != "" {
		o.Store.StorePathRootDir = filepath.Join(home, "store")
	}
	o.AddressServerDomain, o.AddressServerSubGroup = systemProperty(domainProperty), systemProperty(subgroupProperty)
	o.BrokerName = cmp.Or(os.Getenv("BROKER_NAME"), o.BrokerName)
	o.BrokerClusterName = cmp.Or(os.Getenv("BROKER_CLUSTER_NAME"), o.BrokerClusterName)
	if id, err := strconv.ParseInt(os.Getenv("BROKER_ID"), 10, 64); err == nil {
		o.BrokerID = id
	}
	if ip := os.Getenv("POD_IP"); ip != "" {
		o.BrokerIP1, o.BrokerIP2 = ip, ip
	}
	percent := func(property string, to *int32) {
		if text := systemProperty(property); text != "" {
			ratio, err := strconv.ParseFloat(text, 64)
			if err != nil || ratio <= 0 || ratio > 1 {
				log.Warn().Msgf("-D%s=%.40s is not a number from 0 to 1, it is ignored", property, text)
				return
			}
			*to = int32(ratio*100 + 0.5)
		}
	}
	percent(warningLevelProperty, &o.Store.DiskSpaceWarningLevelRatio)
	percent(cleanForciblyRatio, &o.Store.DiskSpaceCleanForciblyRatio)
}

// bindEnvironment gives the targets what environment variables set keys to; they go before the file.
func bindEnvironment(log zerolog.Logger, targets ...any) {
	known := properties.Names(append(targets, config.Known())...)
	p, warnings := fromEnvironment(os.Environ(), known)
	for _, w := range append(warnings, properties.Bind(p, append(targets, known)...)...) {
		log.Warn().Msg("environment: " + w)
	}
}

// fromEnvironment finds the keys that an environment sets, and says of variables that look like a misspelt one.
func fromEnvironment(environ []string, known properties.Keys) (p *properties.Properties, warnings []string) {
	byPlain := map[string]string{}
	var plains properties.Keys
	for _, key := range known {
		name := plain(strings.TrimPrefix(key, "skylark"))
		byPlain[name] = key
		plains = append(plains, name)
	}
	p = &properties.Properties{}
	slices.Sort(environ)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		rest, ok := strings.CutPrefix(name, envPrefix)
		if !ok {
			continue
		}
		if key := byPlain[plain(rest)]; key != "" {
			p.Set(key, value)
		} else if near := properties.Nearest(plain(rest), plains); near != "" && len(rest) > 4 {
			warnings = append(warnings, name+" is no key and is ignored, did you mean "+envPrefix+snake(byPlain[near])+"?")
		}
	}
	return p, warnings
}

// plain is a name without what capitals and underscores say.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// snake spells a key as people spell environment variables.
func snake(key string) string {
	key = strings.TrimPrefix(key, "skylark")
	var b strings.Builder
	for i, r := range key {
		upper := r >= 'A' && r <= 'Z'
		if i > 0 && upper && (key[i-1] < 'A' || key[i-1] > 'Z') {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
