package mqadmin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func clusterCommands() []command {
	return []command{
		{name: "clusterList", usage: "List cluster infos.", run: clusterList, options: "m/moreStats i/interval=# c/clusterName="},
		{name: "statsAll", usage: "Topic and Consumer tps stats.", run: statsAll, options: "a/activeTopic t/topic="},
	}
}

// brokerRow is a broker of clusterList with its figures.
type brokerRow struct {
	Cluster string            `json:"cluster"`
	Broker  string            `json:"brokerName"`
	ID      int64             `json:"brokerId"`
	Addr    string            `json:"brokerAddr"`
	Error   string            `json:"error,omitempty"`
	Figures map[string]string `json:"runtime"`
}

func clusterList(k *call) error {
	return k.repeat(func() error {
		info, err := k.ClusterInfo(k.ctx)
		if err != nil {
			return err
		}
		names := slices.Sorted(maps.Keys(info.ClusterAddrTable))
		if k.has("c") {
			names = []string{k.str("c")}
		}
		var rows []brokerRow
		for _, cluster := range names {
			for _, name := range slices.Sorted(slices.Values(info.ClusterAddrTable[cluster])) {
				b := info.BrokerAddrTable[name]
				for _, id := range brokerIDs(b) {
					row := brokerRow{Cluster: cluster, Broker: name, ID: id, Addr: b.BrokerAddrs[id]}
					if row.Figures, err = k.Runtime(k.ctx, row.Addr); err != nil {
						row.Error = err.Error() // the others are shown nevertheless
					}
					rows = append(rows, row)
				}
			}
		}
		return k.show(rows, func() {
			if k.has("m") {
				printTotals(k, rows)
			} else {
				printBrokers(k, rows)
			}
		})
	})
}

func printTotals(k *call, rows []brokerRow) {
	k.printf("%-16s  %-32s %14s %14s %14s %14s\n", "#Cluster Name", "#Broker Name", "#InTotalYest", "#OutTotalYest", "#InTotalToday", "#OutTotalToday")
	for _, r := range rows {
		n := func(key string) int64 { n, _ := strconv.ParseInt(r.Figures[key], 10, 64); return n }
		k.printf("%-16s  %-32s %14d %14d %14d %14d\n", r.Cluster, r.Broker,
			n("msgPutTotalTodayMorning")-n("msgPutTotalYesterdayMorning"), n("msgGetTotalTodayMorning")-n("msgGetTotalYesterdayMorning"),
			n("msgPutTotalTodayNow")-n("msgPutTotalTodayMorning"), n("msgGetTotalTodayNow")-n("msgGetTotalTodayMorning"))
	}
}

func printBrokers(k *call, rows []brokerRow) {
	k.printf("%-22s  %-22s  %-4s  %-22s %-16s  %16s  %30s  %-22s  %-11s  %-12s  %-8s  %-10s\n", "#Cluster Name", "#Broker Name", "#BID", "#Addr", "#Version",
		"#InTPS(LOAD)", "#OutTPS(LOAD)", "#Timer(Progress)", "#PCWait(ms)", "#Hour", "#SPACE", "#ACTIVATED")
	for _, r := range rows {
		f := func(key, otherwise string) string {
			if v, ok := r.Figures[key]; ok {
				return v
			}
			return otherwise
		}
		number := func(key string) float64 {
			first, _, _ := strings.Cut(r.Figures[key], " ")
			n, _ := strconv.ParseFloat(first, 64)
			return n
		}
		hour := 0.0
		if at := number("earliestMessageTimeStamp"); r.Figures["earliestMessageTimeStamp"] != "" {
			hour = (float64(time.Now().UnixMilli()) - at) / 3600e3
		}
		k.printf("%-22s  %-22s  %-4d  %-22s %-16s  %16s  %30s  %-22s  %11s  %-12s  %-8s  %10v\n", r.Cluster, r.Broker, r.ID, r.Addr, f("brokerVersionDesc", ""),
			fmt.Sprintf("%9.2f(%s,%sms)", number("putTps"), f("sendThreadPoolQueueSize", ""), f("sendThreadPoolQueueHeadWaitTimeMills", "")),
			fmt.Sprintf("%9.2f(%s,%sms|%s,%sms)", number("getTransferredTps"), f("pullThreadPoolQueueSize", ""), f("pullThreadPoolQueueHeadWaitTimeMills", ""),
				f("ackThreadPoolQueueSize", "N"), f("ackThreadPoolQueueHeadWaitTimeMills", "N")),
			fmt.Sprintf("%.0f-%.0f(%.1fw, %.1f, %.1f)", number("timerReadBehind"), number("timerOffsetBehind"), number("timerCongestNum")/10000, number("timerEnqueueTps"), number("timerDequeueTps")),
			f("pageCacheLockTimeMills", ""), fmt.Sprintf("%2.2f", hour), fmt.Sprintf("%.4f", number("commitLogDiskRatio")), strings.EqualFold(f("brokerActive", ""), "true"))
		if r.Error != "" {
			fmt.Fprintf(k.errs, "%s: %s\n", r.Addr, r.Error)
		}
	}
}

// statsRow is a topic with one of its groups.
type statsRow struct {
	Topic        string  `json:"topic"`
	Group        string  `json:"group,omitempty"`
	Accumulation int64   `json:"accumulation"`
	InTPS        float64 `json:"inTPS"`
	OutTPS       float64 `json:"outTPS"`
	In24Hours    int64   `json:"inMsg24Hour"`
	Out24Hours   int64   `json:"outMsg24Hour"`
}

func statsAll(k *call) error {
	topics, err := k.TopicList(k.ctx)
	if err != nil {
		return err
	}
	var rows []statsRow
	for _, t := range topics {
		if strings.HasPrefix(t, admin.RetryPrefix) || strings.HasPrefix(t, admin.DLQPrefix) || k.str("t") != "" && k.str("t") != t {
			continue
		}
		found, err := topicRows(k, t)
		if err != nil {
			continue // a topic whose brokers are away is left out, as in Java
		}
		for _, r := range found {
			if !k.has("a") || r.In24Hours > 0 || r.Out24Hours > 0 {
				rows = append(rows, r)
			}
		}
	}
	return k.show(rows, func() {
		k.printf("%-64s  %-64s %12s %11s %11s %14s %14s\n", "#Topic", "#Consumer Group", "#Accumulation", "#InTPS", "#OutTPS", "#InMsg24Hour", "#OutMsg24Hour")
		for _, r := range rows {
			if r.Group == "" {
				k.printf("%-64s  %-64s %12d %11.2f %11s %14d %14s\n", front(r.Topic, 64), "", 0, r.InTPS, "", r.In24Hours, "NO_CONSUMER")
				continue
			}
			k.printf("%-64s  %-64s %12d %11.2f %11.2f %14d %14d\n", front(r.Topic, 64), front(r.Group, 64), r.Accumulation, r.InTPS, r.OutTPS, r.In24Hours, r.Out24Hours)
		}
	})
}

func topicRows(k *call, topic string) ([]statsRow, error) {
	route, err := k.Route(k.ctx, topic)
	if err != nil {
		return nil, err
	}
	groups, err := k.GroupsOf(k.ctx, topic)
	if err != nil {
		return nil, err
	}
	row := statsRow{Topic: topic}
	row.InTPS, row.In24Hours = sumStats(k, route, "TOPIC_PUT_NUMS", topic)
	if len(groups) == 0 {
		return []statsRow{row}, nil
	}
	var rows []statsRow
	for _, g := range groups {
		row.Group, row.Accumulation = g, 0
		row.OutTPS, row.Out24Hours = sumStats(k, route, "GROUP_GET_NUMS", topic+"@"+g)
		if stats, err := k.ConsumeStats(k.ctx, g, topic, ""); err == nil {
			row.Accumulation = max(totalDiff(stats), 0)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// sumStats adds up a figure of all masters; those that do not have it count as none.
func sumStats(k *call, route *body.TopicRouteData, name, key string) (tps float64, day int64) {
	for _, b := range route.BrokerDatas {
		s, err := k.Stats(k.ctx, b.BrokerAddrs[admin.MasterID], name, key)
		if err == nil {
			tps += s.StatsMinute.Tps
			day += daySum(s)
		}
	}
	return tps, day
}

// daySum is the longest window that has something. Java: StatsAllSubCommand.compute24HourSum.
func daySum(s *body.BrokerStatsData) int64 {
	for _, n := range []int64{s.StatsDay.Sum, s.StatsHour.Sum} {
		if n != 0 {
			return n
		}
	}
	return s.StatsMinute.Sum
}

func totalDiff(s *body.ConsumeStats) (sum int64) {
	for _, o := range s.OffsetTable {
		sum += o.BrokerOffset - o.ConsumerOffset
	}
	return sum
}
