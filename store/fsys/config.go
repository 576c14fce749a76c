// Package fsys holds what must be done right whenever a file is to survive a crash: replacing a
// configuration file, locking a data folder, syncing a folder.
package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rs/zerolog"
)

// BackupSuffix is appended to the name of a configuration file's previous version. Java: ConfigManager.
const BackupSuffix = ".bak"

// tempSuffix marks a version that is not complete yet; Java never looks at such a file.
const tempSuffix = ".skylark-tmp"

// WriteConfig replaces the file at path by data so that a crash at any instant leaves the old or the new
// version under path, whole, and the version before under path + BackupSuffix. Folders are made as needed.
func WriteConfig(path string, data []byte) error { return WriteConfigIn(OS{}, path, data) }

// WriteConfigIn is WriteConfig on another FS.
func WriteConfigIn(f FS, path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := f.MkdirAll(dir); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", path, err)
	}
	temp := path + tempSuffix
	if err := writeSynced(f, temp, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", temp, err)
	}
	// The backup is a second link to the old version, so that path never misses.
	backup := path + BackupSuffix
	link := backup + tempSuffix
	_ = f.Remove(link)
	switch err := f.Link(path, link); {
	case err == nil:
		if err := f.Rename(link, backup); err != nil {
			return fmt.Errorf("cannot back up %s: %w", path, err)
		}
		_ = f.Remove(link) // a rename to another link of the same file leaves it
	case errors.Is(err, fs.ErrNotExist):
		// The first version, perhaps in a new folder: where there is one, its folders are durable.
		if err := SyncParents(f, dir); err != nil {
			return fmt.Errorf("cannot write %s: %w", path, err)
		}
	default:
		return fmt.Errorf("cannot back up %s: %w", path, err)
	}
	if err := f.Rename(temp, path); err != nil {
		return fmt.Errorf("cannot replace %s: %w", path, err)
	}
	return f.SyncDir(dir)
}

func writeSynced(f FS, path string, data []byte) error {
	file, err := f.Open(path, true)
	if err != nil {
		return err
	}
	if err = file.Truncate(0); err == nil { // what a crash left may be longer
		_, err = file.WriteAt(data, 0)
	}
	if err == nil {
		err = file.Datasync()
	}
	return errors.Join(err, file.Close())
}

// ReadConfig reads the configuration file at path and gives it to parse. When it is missing, empty or refused
// by parse, its backup is used: log is told, and a broken file is moved to skylark/broken/ of the store, where
// no write comes, as the next one would put it over the backup (Java deletes it). Neither file there means a
// first start: found is false and err nil. All else is an error, never an empty start: neither version can be
// used, or one cannot be read, which says nothing against what is in it.
func ReadConfig(path string, log zerolog.Logger, parse func(data []byte) error) (found bool, err error) {
	return readConfig(OS{}, path, log, parse)
}

func readConfig(f FS, path string, log zerolog.Logger, parse func(data []byte) error) (found bool, err error) {
	backup := path + BackupSuffix
	missing, why, err := tryConfig(f, path, parse)
	if err != nil || !missing && why == nil {
		return err == nil, err
	}
	noBackup, whyBackup, err := tryConfig(f, backup, parse)
	switch {
	case err != nil:
		return false, err
	case missing && noBackup:
		return false, nil
	case noBackup:
		whyBackup = errors.New("it does not exist")
	}
	if whyBackup != nil {
		if missing {
			why = errors.New("it does not exist")
		}
		return false, fmt.Errorf("cannot use %s: %w; nor %s: %w; put a good copy in place to go on, or move both away to start without what they held",
			path, why, backup, whyBackup)
	}
	e := log.Warn().Str("file", path).Str("used", backup)
	if at := modified(f, backup); !at.IsZero() {
		e = e.Time("of", at)
	}
	if missing {
		e.Msg("a configuration file is missing, its backup is used; what changed behind the backup is lost")
		return true, nil
	}
	aside, err := setAside(f, path)
	if err != nil {
		return false, fmt.Errorf("cannot use %s: %w; its backup is good, but it cannot be moved out of the way: %w", path, why, err)
	}
	e.AnErr("why", why).Str("kept", aside).Msg("a configuration file is broken, its backup is used; what changed behind the backup is lost")
	return true, nil
}

// tryConfig gives one version to parse: why is what speaks against it, err that it cannot be read.
func tryConfig(f FS, path string, parse func(data []byte) error) (missing bool, why, err error) {
	data, err := readFile(f, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil, nil
	case err != nil:
		return false, nil, fmt.Errorf("cannot read %s: %w; make it readable, or move it away to start without it", path, err)
	case len(data) == 0:
		return false, errors.New("the file is empty"), nil
	}
	return false, parse(data), nil
}

// readFile reads a whole file. OS.Open wants to write as well, which nobody need allow for what is only read.
func readFile(f FS, path string) ([]byte, error) {
	if _, ok := f.(OS); ok {
		return os.ReadFile(path)
	}
	file, err := f.Open(path, false)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	n, err := file.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// setAside moves a broken configuration file out of the way, durably, and returns where it is now.
func setAside(f FS, path string) (string, error) {
	dir := filepath.Dir(path)
	root := dir
	if base := filepath.Base(dir); base == "config" || base == "skylark" { // of a store
		root = filepath.Dir(dir)
	}
	into := filepath.Join(root, "skylark", "broken")
	if err := f.MkdirAll(into); err != nil {
		return "", err
	}
	if err := SyncParents(f, into); err != nil {
		return "", err
	}
	to := filepath.Join(into, filepath.Base(path)+time.Now().UTC().Format("-20060102T150405.000Z"))
	if err := f.Rename(path, to); err != nil {
		// The folder may be a disk of its own.
		data, err2 := readFile(f, path)
		if err2 == nil {
			err2 = writeSynced(f, to, data)
		}
		if err2 == nil {
			err2 = f.SyncDir(into)
		}
		if err2 == nil {
			err2 = f.Remove(path)
		}
		if err2 != nil {
			return "", errors.Join(err, err2)
		}
	}
	return to, f.SyncDir(into)
}

// modified returns when a file was written last, zero when nobody knows.
func modified(f FS, path string) time.Time {
	entries, _ := f.List(filepath.Dir(path))
	for _, e := range entries {
		if e.Name == filepath.Base(path) {
			return e.Modified
		}
	}
	return time.Time{}
}

// SyncDir makes renames, new and removed names of a folder durable.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be opened there to be synced; NTFS keeps its changes in a journal
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync folder %s: %w", dir, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot sync folder %s: %w", dir, err)
	}
	return nil
}
