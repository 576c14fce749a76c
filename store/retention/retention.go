// Package retention decides which CommitLog files go and whether the store still takes messages: by age,
// hour, disk use, size and free space. It looks at nothing itself; package store measures, asks and acts.
//
// The rules are Java's (DefaultMessageStore.CleanCommitLogService, spec/store.md 3.4), with what Skylark
// adds: limits by size and by free space, and a guard against a clock that jumps.
package retention

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/store/fsys"
)

// Rules are what the operator asks for. Ratios are whole percents of a disk.
type Rules struct {
	ReservedTime time.Duration // files older than that are expired
	Hours        []int         // of the day, local time, at which expired files go
	MaxUsed      int           // above: expired files go at any hour
	CleanAbove   int           // above: files go whatever their age
	RefuseAbove  int           // above: no message is taken
	Forcibly     bool          // files may go before they are expired when a disk fills
	BatchMax     int           // files removed in one round
	MaxBytes     int64         // of all files together, 0: no limit
	MinFree      int64         // bytes to keep free on each disk, 0: no limit
}

// Clamped returns the rules with Java's bounds: diskMaxUsedSpaceRatio 10 to 95, diskSpaceCleanForciblyRatio
// 30 to 85, diskSpaceWarningLevelRatio 35 to 90, and at least one file for a round. Where MinFree keeps the
// disk from filling up, ratios may be up to 100: a tenth of a big disk is a lot to leave unused.
func (r Rules) Clamped() Rules {
	most := [3]int{95, 85, 90}
	if r.MinFree > 0 {
		most = [3]int{100, 100, 100}
	}
	r.MaxUsed = min(max(r.MaxUsed, 10), most[0])
	r.CleanAbove = min(max(r.CleanAbove, 30), most[1])
	r.RefuseAbove = min(max(r.RefuseAbove, 35), most[2])
	r.BatchMax = max(r.BatchMax, 1)
	return r
}

// ParseHours parses deleteWhen, "04" or "04;16". With an error it returns the hours that could be read.
// Java: UtilAll.isItTimeToDo.
func ParseHours(text string) (hours []int, err error) {
	for f := range strings.SplitSeq(text, ";") {
		h, bad := strconv.Atoi(strings.TrimSpace(f))
		if bad != nil || h < 0 || h > 23 {
			err = fmt.Errorf("cannot parse deleteWhen %q: %q is no hour of the day", text, f)
			continue
		}
		hours = append(hours, h)
	}
	return hours, err
}

// Disk is one of the store's disks, named by the folder that lies on it.
type Disk struct {
	Path string
	fsys.Disk
}

// Disks are those of folders that stand in for each other: as long as one has room there is room. A disk of
// which nothing is known is not counted. Java: CleanCommitLogService takes the one least used.
type Disks []Disk

// File is a CommitLog file.
type File struct {
	Base, Size int64
	Modified   time.Time
	Disk       uint64 // fsys.Disk.ID
}

// State is what a round finds.
type State struct {
	Now      time.Time // wall clock, in the zone of Rules.Hours
	Distrust bool      // the wall clock has jumped: ages prove nothing
	Manual   bool      // the operator asked for expired files to go now
	Log      Disks     // that CommitLog files are made on
	Queues   Disk      // of the ConsumeQueues
	Total    int64     // bytes of all CommitLog files
}

// Reason says why a file goes.
type Reason string

// The reasons, as they are logged and counted.
const (
	Expired  Reason = "expired"  // older than fileReservedTime
	DiskFull Reason = "diskFull" // diskSpaceCleanForciblyRatio or skylarkMinFreeBytes
	TooLarge Reason = "tooLarge" // skylarkMaxStoreBytes
)

// Plan says which files may go in a round.
type Plan struct {
	// Why is what set the round off, for the log; empty: nothing goes.
	Why string
	// Pressed is set when a disk or a limit is the cause, so that it is worth a warning when nothing can go.
	Pressed bool

	expired bool  // files past their age go
	over    int64 // bytes that go whatever their age, for the size limit
	queues  int64 // the same for the disk of the queues
	// log is the same for the disks of the log, by their ID: until one has room.
	log map[uint64]int64
}

// Plan looks at the triggers. Only when something may go do the files have to be looked at.
func (r Rules) Plan(s State) Plan {
	var p Plan
	reasons := []string{}
	because := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	log, queues := r.pressure(s.Log), r.pressure(Disks{s.Queues})
	p.Pressed = log.pressed || queues.pressed
	p.expired = p.Pressed
	reasons = append(append(reasons, log.why...), queues.why...)
	if r.Forcibly {
		p.log, p.queues = log.wanted, queues.wanted[s.Queues.ID]
	}
	if r.MaxBytes > 0 && s.Total > r.MaxBytes {
		p.Pressed = true
		p.over = s.Total - r.MaxBytes
		because("the commit log has %d bytes, skylarkMaxStoreBytes is %d", s.Total, r.MaxBytes)
	}
	if !s.Distrust && r.dueAt(s.Now) {
		p.expired = true
		because("it is an hour of deleteWhen")
	}
	if !s.Distrust && s.Manual {
		p.expired = true
		because("an operator asked for it")
	}
	p.Why = strings.Join(reasons, "; ")
	return p
}

// pressure is what the fill of disks that stand in for each other asks for.
type pressure struct {
	pressed bool // all are so full that files past their age go at any hour
	why     []string
	// wanted is what must go from each disk whatever its age for that disk to have room; nil when one has.
	wanted map[uint64]int64
}

func (r Rules) pressure(disks Disks) pressure {
	p := pressure{wanted: map[uint64]int64{}}
	for _, d := range disks {
		used := d.UsedPercent()
		if used < 0 {
			continue
		}
		full := r.Full(d)
		if used <= r.MaxUsed && !full {
			return pressure{}
		}
		p.pressed = true
		if used > r.MaxUsed {
			p.why = append(p.why, fmt.Sprintf("%s is above diskMaxUsedSpaceRatio %d", state(d), r.MaxUsed))
		}
		if used > r.CleanAbove {
			p.why = append(p.why, fmt.Sprintf("%s is above diskSpaceCleanForciblyRatio %d", state(d), r.CleanAbove))
		}
		if d.Usable < r.MinFree {
			p.why = append(p.why, fmt.Sprintf("%s has %d bytes left, skylarkMinFreeBytes is %d", d.Path, d.Usable, r.MinFree))
		}
		p.wanted[d.ID] = max(above(d, r.CleanAbove), r.MinFree-d.Usable)
	}
	for _, n := range p.wanted {
		if n <= 0 {
			p.wanted = nil
			break
		}
	}
	return p
}

// Full reports whether a disk is so full that files go whatever their age. Java makes new CommitLog files on
// other disks then (fullStorePaths).
func (r Rules) Full(d Disk) bool {
	used := d.UsedPercent()
	return used > r.CleanAbove || used >= 0 && d.Usable < r.MinFree
}

func (r Rules) dueAt(now time.Time) bool {
	for _, h := range r.Hours {
		if h == now.Hour() {
			return true
		}
	}
	return false
}

// above returns how many bytes must go for a disk to be no more than percent full.
func above(d Disk, percent int) int64 {
	used := d.Total - d.Free
	all := used + d.Usable
	return used - all*int64(percent)/100
}

func state(d Disk) string { return fmt.Sprintf("the disk of %s, %d %% full,", d.Path, d.UsedPercent()) }

// Removal is a file that goes.
type Removal struct {
	File
	Reason Reason
}

// Choose returns the files that go, from the first on: never the last, none that reaches behind safe, up to
// BatchMax. Files that are not expired go only as far as a disk or the size limit demands.
func (r Rules) Choose(p Plan, now time.Time, safe int64, files []File) []Removal {
	var out []Removal
	freed := int64(0)
	from := map[uint64]int64{}
	for i, f := range files {
		if i == len(files)-1 || f.Base+f.Size > safe || len(out) == r.BatchMax {
			break
		}
		reason := Reason("")
		switch {
		case p.expired && now.Sub(f.Modified) >= r.ReservedTime:
			reason = Expired
		case freed < p.over:
			reason = TooLarge
		case freed < p.queues || p.short(from):
			reason = DiskFull
		}
		if reason == "" {
			break
		}
		freed += f.Size
		from[f.Disk] += f.Size
		out = append(out, Removal{f, reason})
	}
	return out
}

// short reports whether no disk of the log has room yet when so much is gone from each.
func (p Plan) short(freed map[uint64]int64) bool {
	for disk, n := range p.log {
		if freed[disk] >= n {
			return false
		}
	}
	return len(p.log) > 0
}

// Refuse returns why no message may be taken, or "": the disks of the log are all too full, or that of the
// queues. refusing says whether that is so already: then it lasts, as in Java, until a disk is no more than
// diskSpaceCleanForciblyRatio full.
func (r Rules) Refuse(log Disks, queues Disk, refusing bool) string {
	for _, disks := range []Disks{log, {queues}} {
		var why []string
		known := 0
		for _, d := range disks {
			if d.UsedPercent() < 0 {
				continue
			}
			known++
			if w := r.refuse(d, refusing); w != "" {
				why = append(why, w)
			}
		}
		if known > 0 && len(why) == known {
			return strings.Join(why, "; ")
		}
	}
	return ""
}

func (r Rules) refuse(d Disk, refusing bool) string {
	used := d.UsedPercent()
	switch {
	case used > r.RefuseAbove:
		return fmt.Sprintf("the disk of %s is %d %% full (diskSpaceWarningLevelRatio %d)", d.Path, used, r.RefuseAbove)
	case d.Usable < r.MinFree:
		return fmt.Sprintf("the disk of %s has %d bytes left (skylarkMinFreeBytes %d)", d.Path, d.Usable, r.MinFree)
	case refusing && used > r.CleanAbove:
		return fmt.Sprintf("the disk of %s is still %d %% full (diskSpaceWarningLevelRatio %d was passed, diskSpaceCleanForciblyRatio %d is not reached again)",
			d.Path, used, r.RefuseAbove, r.CleanAbove)
	}
	return ""
}
