package simfs

import (
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
)

// Policy says what a crash leaves of what was not made durable.
type Policy int

// The policies of Crash.
const (
	// Kill leaves everything: the process died, the system did not. What was not durable still is not.
	Kill Policy = iota
	// Synced leaves what was made durable and nothing else.
	Synced
	// NamesOnly leaves all names, and of the files what was durable: a new file is empty.
	NamesOnly
	// Zeros leaves all names and lengths, but not the bytes: what was added to a file reads as zeros.
	Zeros
	// NoNames leaves the bytes of all files, but no name that was not made durable.
	NoNames
	// Prefix leaves all that was done up to some moment, another for each mount: the disks worked in order.
	Prefix
	// Scatter leaves an old or new version of each sector and each length by chance, and the names up to some
	// moment, another for each mount: the disks worked in any order.
	Scatter

	policies
)

var policyNames = [...]string{"kill", "synced", "names only", "zeros", "no names", "prefix", "scatter"}

// String names the policy.
func (p Policy) String() string { return policyNames[p] }

// Policies returns all of them.
func Policies() []Policy {
	out := make([]Policy, policies)
	for i := range out {
		out[i] = Policy(i)
	}
	return out
}

// PowerCuts returns those that a loss of power, but not a kill, can have.
func PowerCuts() []Policy { return Policies()[1:] }

// Crash returns the disk that the next start finds; d itself goes on as it is. One seed gives one result.
func (d *Disk) Crash(seed uint64, p Policy) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Image(seed, p)
}

// Image is Crash for a hook, which runs with the disk locked.
func (d *Disk) Image(seed uint64, p Policy) *Disk {
	if p == Kill {
		return d.clone()
	}
	r := rand.New(rand.NewPCG(seed, uint64(p)))
	never, always := int64(-1), d.seq
	// Up to when names, lengths and bytes of the file system at a mount are left.
	type limits struct{ names, size, data int64 }
	of := map[string]limits{}
	for _, mount := range append([]string{""}, d.mounts...) {
		l := limits{never, never, never}
		switch p {
		case NamesOnly:
			l.names = always
		case Zeros:
			l.names, l.size = always, always
		case NoNames:
			l.size, l.data = always, always
		case Prefix:
			at := d.moment(r)
			l = limits{at, at, at}
		case Scatter:
			l.names = d.moment(r)
		}
		of[mount] = l
	}
	paths := map[string]*node{}
	for path, n := range d.durable {
		paths[path] = n
	}
	for _, op := range d.pending {
		if op.seq <= of[d.mount(op.path)].names {
			op.apply(paths)
		}
	}
	out := New()
	out.mounts = slices.Clone(d.mounts)
	for _, path := range sorted(paths) {
		if !rooted(paths, path) {
			continue
		}
		n := paths[path]
		m := &node{dir: n.dir, sectors: map[int64][]version{}}
		if p == Scatter {
			m.durable = n.scatter(r)
		} else {
			l := of[d.mount(path)]
			m.durable = n.at(func(int64, int) int64 { return l.data }, l.size)
		}
		m.data = slices.Clone(m.durable)
		out.live[path], out.durable[path] = m, m
	}
	return out
}

// moment chooses among the times at which something happened that is not durable yet, and before all.
func (d *Disk) moment(r *rand.Rand) int64 {
	seen := map[int64]bool{0: true}
	for _, op := range d.pending {
		seen[op.seq] = true
	}
	for _, n := range d.live {
		for _, vs := range n.sectors {
			for _, v := range vs {
				seen[v.seq] = true
			}
		}
		for _, l := range n.lengths {
			seen[l.seq] = true
		}
	}
	times := make([]int64, 0, len(seen))
	for t := range seen {
		times = append(times, t)
	}
	slices.Sort(times)
	return times[r.IntN(len(times))]
}

func (n *node) scatter(r *rand.Rand) []byte {
	size := int64(-1)
	if k := r.IntN(len(n.lengths) + 1); k > 0 {
		size = n.lengths[k-1].seq
	}
	order := make([]int64, 0, len(n.sectors))
	for s := range n.sectors {
		order = append(order, s)
	}
	slices.Sort(order)
	pick := map[int64]int64{}
	for _, s := range order {
		pick[s] = -1
		if k := r.IntN(len(n.sectors[s]) + 1); k > 0 {
			pick[s] = n.sectors[s][k-1].seq
		}
	}
	return n.at(func(s int64, _ int) int64 { return pick[s] }, size)
}

func rooted(paths map[string]*node, path string) bool {
	for up := filepath.Dir(path); up != "/" && up != "."; up = filepath.Dir(up) {
		if n := paths[up]; n == nil || !n.dir {
			return false
		}
	}
	return true
}

func sorted(paths map[string]*node) []string {
	out := make([]string, 0, len(paths))
	for p := range paths {
		out = append(out, p)
	}
	sort.Strings(out)
	return out
}

// clone copies the disk, with what is not durable yet, but without locks, hook and crash.
func (d *Disk) clone() *Disk {
	out := New()
	out.seq, out.mounts = d.seq, slices.Clone(d.mounts)
	copies := map[*node]*node{}
	of := func(n *node) *node {
		if n == nil {
			return nil
		}
		c := copies[n]
		if c == nil {
			c = &node{dir: n.dir, data: slices.Clone(n.data), durable: slices.Clone(n.durable), lengths: slices.Clone(n.lengths), sectors: map[int64][]version{}}
			for s, vs := range n.sectors {
				c.sectors[s] = slices.Clone(vs) // the bytes of a version never change
			}
			copies[n] = c
		}
		return c
	}
	for p, n := range d.live {
		out.live[p] = of(n)
	}
	for p, n := range d.durable {
		out.durable[p] = of(n)
	}
	for _, op := range d.pending {
		op.made = of(op.made)
		out.pending = append(out.pending, op)
	}
	return out
}

// Paths returns the files, sorted.
func (d *Disk) Paths() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for p, n := range d.live {
		if !n.dir {
			out = append(out, p)
		}
	}
	sort.Strings(out)
	return out
}

// ReadFile returns a copy of a file, past hook and crash.
func (d *Disk) ReadFile(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.live[filepath.Clean(path)]
	if n == nil || n.dir {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	}
	return slices.Clone(n.data), nil
}

// WriteFile makes a file durable with the bytes b, past hook and crash; its folder must be there.
func (d *Disk) WriteFile(path string, b []byte) error {
	path = filepath.Clean(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.parent(path); err != nil {
		return err
	}
	n := &node{data: slices.Clone(b), durable: slices.Clone(b), sectors: map[int64][]version{}}
	d.live[path], d.durable[path] = n, n
	return nil
}

// Flip inverts one bit of a file, in memory and on the medium, past hook and crash. Bit 0 is the lowest of the
// first byte.
func (d *Disk) Flip(path string, bit int64) error {
	b, err := d.ReadFile(path)
	if err != nil {
		return err
	}
	if bit/8 >= int64(len(b)) {
		return &fs.PathError{Op: "flip", Path: path, Err: fs.ErrInvalid}
	}
	b[bit/8] ^= 1 << (bit % 8)
	return d.WriteFile(path, b)
}
