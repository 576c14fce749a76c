package retention

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/fsys"
)

const size = 100

var noon = time.Date(2025, 6, 1, 12, 30, 0, 0, time.UTC)

func rules() Rules {
	return Rules{ReservedTime: 72 * time.Hour, Hours: []int{4, 16}, MaxUsed: 75, CleanAbove: 85, RefuseAbove: 90, Forcibly: true, BatchMax: 10}.Clamped()
}

// used is a disk of 1000 bytes.
func used(path string, n int64) Disk {
	return Disk{path, fsys.Disk{Total: 1000, Free: 1000 - n, Usable: 1000 - n}}
}

// on is used with an ID.
func on(id uint64, path string, n int64) Disk {
	d := used(path, n)
	d.ID = id
	return d
}

// aged returns files with these ages in hours at t.
func aged(t time.Time, hours ...int) []File {
	var out []File
	for i, h := range hours {
		out = append(out, File{int64(i) * size, size, t.Add(-time.Duration(h) * time.Hour), 0})
	}
	return out
}

func TestWhichFilesGo(t *testing.T) {
	old := []int{90, 80, 72, 71, 1, 0}
	at := func(hour int) time.Time { return time.Date(2025, 6, 1, hour, 59, 59, 0, time.UTC) }
	for name, x := range map[string]struct {
		change func(r *Rules)
		state  State
		ages   []int
		safe   int64
		want   string
		disks  []uint64 // that the files are on
	}{
		"not the hour":                       {ages: old, want: ""},
		"the hour":                           {state: State{Now: at(4)}, ages: old, want: "expired expired expired"},
		"the second hour":                    {state: State{Now: at(16)}, ages: old, want: "expired expired expired"},
		"an hour later":                      {state: State{Now: at(5)}, ages: old, want: ""},
		"a young file keeps those behind it": {state: State{Now: at(4)}, ages: []int{90, 1, 90, 0}, want: "expired"},
		"never the last":                     {state: State{Now: at(4)}, ages: []int{90, 90}, want: "expired"},
		"never the only one":                 {state: State{Now: at(4)}, ages: []int{90}, want: ""},
		"no file":                            {state: State{Now: at(4)}, want: ""},
		"manual":                             {state: State{Manual: true}, ages: old, want: "expired expired expired"},
		"batch":                              {change: func(r *Rules) { r.BatchMax = 2 }, state: State{Now: at(4)}, ages: old, want: "expired expired"},
		"a batch of none is one":             {change: func(r *Rules) { r.BatchMax = 0 }, state: State{Now: at(4)}, ages: old, want: "expired"},
		"not what recovery needs":            {state: State{Now: at(4)}, ages: old, safe: 2*size - 1, want: "expired"},
		"up to what recovery needs":          {state: State{Now: at(4)}, ages: old, safe: 2 * size, want: "expired expired"},
		"the clock jumped":                   {state: State{Now: at(4), Manual: true, Distrust: true}, ages: old, want: ""},
		"the clock jumped and the disk fills": {state: State{Distrust: true, Log: Disks{used("/d", 760)}}, ages: old,
			want: "expired expired expired"},
		"reserved time of nothing": {change: func(r *Rules) { r.ReservedTime = 0 }, state: State{Now: at(4)}, ages: []int{0, 0, 0}, want: "expired expired"},

		"75 % is not above 75":         {state: State{Log: Disks{used("/d", 750)}}, ages: old, want: ""},
		"above 75, expired ones":       {state: State{Log: Disks{used("/d", 751)}}, ages: old, want: "expired expired expired"},
		"the other disk":               {state: State{Log: Disks{used("/d", 1)}, Queues: used("/e", 800)}, ages: old, want: "expired expired expired"},
		"85 % is not above 85":         {state: State{Log: Disks{used("/d", 850)}}, ages: []int{1, 1, 1}, want: ""},
		"above 85, any":                {state: State{Log: Disks{used("/d", 851)}}, ages: []int{1, 1, 1, 1}, want: "diskFull"},
		"above 85, as many as needed":  {state: State{Log: Disks{used("/d", 960)}}, ages: []int{1, 1, 1, 1}, want: "diskFull diskFull"},
		"above 85, expired ones first": {state: State{Log: Disks{used("/d", 960)}}, ages: []int{90, 1, 1, 1}, want: "expired diskFull"},
		"above 85, never the last":     {state: State{Log: Disks{used("/d", 1000)}}, ages: []int{1, 1}, want: "diskFull"},
		"not forcibly": {change: func(r *Rules) { r.Forcibly = false }, state: State{Log: Disks{used("/d", 990)}}, ages: []int{90, 1, 1},
			want: "expired"},
		"an unknown disk": {state: State{Log: Disks{{Path: "/d"}}}, ages: old, want: ""},

		"one disk of the log has room":   {state: State{Log: Disks{used("/d", 990), used("/e", 750)}}, ages: old, want: ""},
		"one has more than the least":    {state: State{Log: Disks{used("/d", 990), used("/e", 760)}}, ages: old, want: "expired expired expired"},
		"all lack space, one gets some":  {state: State{Log: Disks{on(1, "/d", 990), on(2, "/e", 851)}}, disks: []uint64{1, 2, 1, 2}, ages: []int{1, 1, 1, 1}, want: "diskFull diskFull"},
		"two folders of one disk":        {state: State{Log: Disks{on(1, "/d", 960), on(1, "/e", 960)}}, ages: []int{1, 1, 1, 1}, disks: []uint64{1, 1, 1, 1}, want: "diskFull diskFull"},
		"files elsewhere give no room":   {state: State{Log: Disks{on(1, "/d", 860)}}, disks: []uint64{3, 3, 1, 1, 1}, ages: []int{1, 1, 1, 1, 1}, want: "diskFull diskFull diskFull"},
		"the queues' disk, any file":     {state: State{Log: Disks{on(1, "/d", 1)}, Queues: on(2, "/q", 860)}, disks: []uint64{1, 1, 1}, ages: []int{1, 1, 1}, want: "diskFull"},
		"a disk of the log is not known": {state: State{Log: Disks{{Path: "/d"}, used("/e", 760)}}, ages: old, want: "expired expired expired"},
		"limits the other way round":     {change: func(r *Rules) { r.MaxUsed = 95 }, state: State{Log: Disks{used("/d", 860)}}, ages: []int{90, 1, 1}, want: "expired"},

		"size":             {change: func(r *Rules) { r.MaxBytes = 450 }, state: State{Total: 600}, ages: []int{1, 1, 1, 1, 1, 1}, want: "tooLarge tooLarge"},
		"size reached":     {change: func(r *Rules) { r.MaxBytes = 600 }, state: State{Total: 600}, ages: []int{1, 1, 1, 1, 1, 1}, want: ""},
		"size, unforced":   {change: func(r *Rules) { r.MaxBytes, r.Forcibly = 500, false }, state: State{Total: 600}, ages: old, want: "tooLarge"},
		"size of a file":   {change: func(r *Rules) { r.MaxBytes = 1 }, state: State{Total: 300}, ages: []int{1, 1, 1}, want: "tooLarge tooLarge"},
		"free space":       {change: func(r *Rules) { r.MinFree = 500 }, state: State{Log: Disks{used("/d", 601)}}, ages: []int{1, 1, 1, 1}, want: "diskFull diskFull"},
		"free space there": {change: func(r *Rules) { r.MinFree = 500 }, state: State{Log: Disks{used("/d", 500)}}, ages: []int{1, 1, 1, 1}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := rules()
			if x.change != nil {
				x.change(&r)
				r = r.Clamped()
			}
			if x.state.Now.IsZero() {
				x.state.Now = noon
			}
			if x.safe == 0 {
				x.safe = 1 << 40
			}
			p := r.Plan(x.state)
			got := ""
			files := aged(x.state.Now, x.ages...)
			for i, disk := range x.disks {
				files[i].Disk = disk
			}
			for i, f := range r.Choose(p, x.state.Now, x.safe, files) {
				require.EqualValues(t, i*size, f.Base, "only from the front, without a gap")
				if i > 0 {
					got += " "
				}
				got += string(f.Reason)
			}
			require.Equal(t, x.want, got, p.Why)
			require.False(t, p.Why == "" && got != "", "a removal needs a reason")
		})
	}
}

func TestRefusalNamesItsReason(t *testing.T) {
	r := rules()
	require.Empty(t, r.Refuse(Disks{used("/d", 900)}, Disk{}, false))
	require.Equal(t, "the disk of /d is 91 % full (diskSpaceWarningLevelRatio 90)", r.Refuse(Disks{used("/d", 901)}, Disk{}, false))
	require.Equal(t, "the disk of /e is 100 % full (diskSpaceWarningLevelRatio 90)", r.Refuse(Disks{used("/d", 901-100)}, used("/e", 1000), false))
	require.Empty(t, r.Refuse(Disks{used("/d", 851)}, Disk{}, false))
	require.Contains(t, r.Refuse(Disks{used("/d", 851)}, Disk{}, true), "still 86 % full", "as Java: until it is at 85 % again")
	require.Empty(t, r.Refuse(Disks{used("/d", 850)}, Disk{}, true))
	require.Empty(t, r.Refuse(Disks{{Path: "/gone"}}, Disk{}, true))
	require.Empty(t, r.Refuse(Disks{used("/d", 1000), used("/e", 900)}, Disk{}, false), "one disk of the log is enough")
	require.Equal(t, "the disk of /d is 100 % full (diskSpaceWarningLevelRatio 90); the disk of /e is 91 % full (diskSpaceWarningLevelRatio 90)",
		r.Refuse(Disks{used("/d", 1000), used("/e", 901), {Path: "/gone"}}, Disk{}, false))
	require.Empty(t, r.Refuse(Disks{used("/d", 1000), used("/e", 850)}, Disk{}, true))
	r.MinFree = 300
	require.Equal(t, "the disk of /d has 299 bytes left (skylarkMinFreeBytes 300)", r.Refuse(Disks{used("/d", 701)}, Disk{}, false))
	require.Empty(t, r.Refuse(Disks{used("/d", 700)}, Disk{}, true))
}

func TestBoundsAreJavas(t *testing.T) {
	require.Equal(t, Rules{MaxUsed: 10, CleanAbove: 30, RefuseAbove: 35, BatchMax: 1}, Rules{}.Clamped())
	require.Equal(t, Rules{MaxUsed: 95, CleanAbove: 85, RefuseAbove: 90, BatchMax: 5}, Rules{MaxUsed: 100, CleanAbove: 100, RefuseAbove: 100, BatchMax: 5}.Clamped())
	big := Rules{MaxUsed: 97, CleanAbove: 98, RefuseAbove: 200, BatchMax: 5, MinFree: 1}
	require.Equal(t, Rules{MaxUsed: 97, CleanAbove: 98, RefuseAbove: 100, BatchMax: 5, MinFree: 1}, big.Clamped())
}

func TestHours(t *testing.T) {
	h, err := ParseHours("04;16; 0")
	require.NoError(t, err)
	require.Equal(t, []int{4, 16, 0}, h)
	for _, bad := range []string{"", "4;", "24", "-1", "4,5", "four"} {
		_, err := ParseHours(bad)
		require.ErrorContains(t, err, fmt.Sprintf("%q", bad), bad)
	}
}

func TestUsedPercentIsRoundedUp(t *testing.T) {
	for _, x := range []struct {
		d    fsys.Disk
		want int
	}{
		{fsys.Disk{}, -1},
		{fsys.Disk{Total: 1000, Free: 1000, Usable: 1000}, 0},
		{fsys.Disk{Total: 1000, Free: 999, Usable: 999}, 1},
		{fsys.Disk{Total: 1000, Free: 100, Usable: 100}, 90},
		{fsys.Disk{Total: 1000, Free: 99, Usable: 99}, 91},
		{fsys.Disk{Total: 1000, Free: 100, Usable: 0}, 100}, // the rest is root's
		{fsys.Disk{Total: 1 << 55, Free: 1 << 54, Usable: 1 << 54}, 50},
	} {
		require.Equal(t, x.want, x.d.UsedPercent(), x.d)
	}
}

func TestBytesAboveARatio(t *testing.T) {
	require.EqualValues(t, 100, above(used("/d", 950), 85))
	require.EqualValues(t, 1, above(used("/d", 851), 85))
}

func TestClockThatJumps(t *testing.T) {
	var c Clock
	look := func(wall, up time.Duration, doubtful bool) {
		t.Helper()
		got, _ := c.Look(noon.Add(wall), up)
		require.Equal(t, doubtful, got)
	}
	look(0, 0, false)
	look(10*time.Second, 10*time.Second, false)
	look(23*time.Hour, 20*time.Second, false) // less than a day: a zone, a drift
	look(72*time.Hour, 30*time.Second, true)
	look(72*time.Hour+10*time.Second, 40*time.Second, true)
	look(73*time.Hour+10*time.Second, 30*time.Second+time.Hour, false) // it was no mistake
	look(200*time.Hour, 2*time.Hour, true)
	look(75*time.Hour, 2*time.Hour+time.Second, false) // it was, and is set right
	look(75*time.Hour+48*time.Hour, 50*time.Hour, false)
}
