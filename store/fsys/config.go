// Package fsys holds what must be done right whenever a file is to survive a crash: replacing a
// configuration file, locking a data folder, syncing a folder.
package fsys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BackupSuffix is appended to the name of a configuration file's previous version. Java: ConfigManager.
const BackupSuffix = ".bak"

// tempSuffix marks a version that is not complete yet; Java never looks at such a file.
const tempSuffix = ".skylark-tmp"

// WriteConfig replaces the file at path by data so that a crash at any instant leaves the old or the new
// version under path, whole, and the version before under path + BackupSuffix. Folders are made as needed.
func WriteConfig(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", path, err)
	}
	temp := path + tempSuffix
	if err := writeSynced(temp, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", temp, err)
	}
	// The backup is a second link to the old version, so that path never misses.
	backup := path + BackupSuffix
	if _, err := os.Lstat(path); err == nil {
		link := backup + tempSuffix
		_ = os.Remove(link)
		if err := os.Link(path, link); err != nil {
			return fmt.Errorf("cannot back up %s: %w", path, err)
		}
		if err := os.Rename(link, backup); err != nil {
			return fmt.Errorf("cannot back up %s: %w", path, err)
		}
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("cannot replace %s: %w", path, err)
	}
	return SyncDir(dir)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadConfig reads the configuration file at path and gives it to parse; when it is missing, empty or
// parse refuses it, the backup is tried. Neither file there means a first start: found is false and err
// nil. A file that is there while neither version can be used is an error, never an empty start.
func ReadConfig(path string, parse func(data []byte) error) (found bool, err error) {
	var problems []error
	for _, p := range []string{path, path + BackupSuffix} {
		data, err := os.ReadFile(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && len(data) == 0:
			err = errors.New("the file is empty")
		case err == nil:
			err = parse(data)
		}
		if err == nil {
			return true, nil
		}
		problems = append(problems, fmt.Errorf("cannot use %s: %w", p, err))
	}
	return false, errors.Join(problems...)
}

// SyncDir makes renames, new and removed names of a folder durable.
func SyncDir(dir string) error {
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
