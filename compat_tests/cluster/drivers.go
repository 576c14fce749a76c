package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Versions of the Java artifacts.
const (
	ServerVersion = "5.5.0" // Java NameServer and broker
	// ServerV4 is a 4.9.8 broker as near as Maven Central has one (see its pom.xml), for Options.Version.
	ServerV4 = "4.9.8-server"
	ClientV4 = "4.9.8" // last 4.x Java client
	ClientV5 = "5.5.0" // Java client of the server's version
)

func javaBin(t TB) string {
	t.Helper()
	return tool(t, "java", "to run Java clients and servers")
}

// javaLib returns the folder with the jars of a RocketMQ version, fetched by
// Maven with compat_tests/java/<version>/pom.xml.
func javaLib(t TB, version string) string {
	t.Helper()
	pom := filepath.Join(mustRoot(t), "compat_tests", "java", version, "pom.xml")
	hash := mustFingerprint(t, pom)
	return cached(t, filepath.Join("java", version+"-lib-"+hash), func(dir string) error {
		mvn := tool(t, "mvn", "to fetch the Java jars from Maven Central")
		// A copy of the pom keeps Maven's target folder out of the repository.
		text, err := os.ReadFile(pom)
		if err != nil {
			return err
		}
		copied := filepath.Join(dir, "pom.xml")
		if err := os.WriteFile(copied, text, 0o644); err != nil {
			return err
		}
		return run(dir, mvn, "-q", "-B", "-f", copied, "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory="+dir)
	})
}

// javaClasses returns the folder with driver.jar: the driver compiled against
// one version.
func javaClasses(t TB, version string) string {
	t.Helper()
	lib := javaLib(t, version)
	src := filepath.Join(mustRoot(t), "compat_tests", "java", "src")
	hash := mustFingerprint(t, src, filepath.Join(src, "..", version))
	name := filepath.Join("java", version+"-classes-"+hash)
	return cached(t, name, func(dir string) error {
		files, err := filepath.Glob(filepath.Join(src, "*.java"))
		if err != nil {
			return err
		}
		own, err := filepath.Glob(filepath.Join(src, "..", version, "*.java")) // what only this version has
		if err != nil {
			return err
		}
		files = append(files, own...)
		javac := tool(t, "javac", "to compile the Java driver (install a JDK)")
		out := filepath.Join(dir, "classes")
		args := []string{"-nowarn", "-Xlint:none", "-encoding", "UTF-8", "-cp", lib + "/*", "-d", out}
		if err := run(dir, javac, append(args, files...)...); err != nil {
			return err
		}
		jar := tool(t, "jar", "to pack the Java driver (install a JDK)") // class data sharing takes jars only
		return run(dir, jar, "cf", filepath.Join(dir, "driver.jar"), "-C", out, ".",
			"-C", src, "rmq.logback-test.xml", "-C", src, "logback.xml")
	})
}

// javaArchive returns the class data archive of the driver, which halves the
// start-up time of the JVM. It is made by running the verb "warm" once. The class path must be the one of later runs.
func javaArchive(t TB, version, classes string) string {
	t.Helper()
	dir := cached(t, filepath.Join("java", filepath.Base(classes)+"-cds"), func(dir string) error {
		args := append(javaFlags(dir), "-XX:ArchiveClassesAtExit="+filepath.Join(dir, "driver.jsa"),
			"-cp", javaClassPath(t, version, classes), "Driver", "warm")
		return run(dir, javaBin(t), args...)
	})
	return filepath.Join(dir, "driver.jsa")
}

func javaClassPath(t TB, version, classes string) string {
	t.Helper()
	jars, err := filepath.Glob(filepath.Join(javaLib(t, version), "*.jar"))
	if err != nil {
		t.Fatalf("cannot list jars: %v", err)
	}
	cp := filepath.Join(classes, "driver.jar")
	for _, j := range jars {
		cp += string(os.PathListSeparator) + j
	}
	return cp
}

// javaFlags keep a client JVM small and its logs in files under home.
func javaFlags(home string) []string {
	return []string{"-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Duser.home=" + home, "-Drocketmq.client.logUseSlf4j=true"}
}

// Java starts the Java driver with the client library of that version
// (ClientV4 or ClientV5). args are key=value pairs.
func Java(t TB, version, verb string, args ...string) *Run {
	t.Helper()
	SkipIfOff(t)
	classes := javaClasses(t, version)
	archive := javaArchive(t, version, classes)
	home := t.TempDir()
	argv := append([]string{javaBin(t)}, javaFlags(home)...)
	argv = append(argv, "-XX:SharedArchiveFile="+archive, "-Xlog:cds=off", "-Xlog:cds+dynamic=off",
		"-cp", javaClassPath(t, version, classes), "Driver", verb)
	return startRun(t, "java "+version, append(argv, args...), home)
}

// JavaSource runs a Java program of one source file of this repository, with the jars of a RocketMQ version, to its end.
func JavaSource(t TB, version, source string, args ...string) {
	t.Helper()
	SkipIfOff(t)
	argv := append(javaFlags(t.TempDir()), "-cp", javaLib(t, version)+"/*", filepath.Join(mustRoot(t), source))
	if err := run(t.TempDir(), javaBin(t), append(argv, args...)...); err != nil {
		t.Fatalf("%v", err)
	}
}

// MQAdmin runs a command of stock mqadmin 5.5.0 to its end and returns what it printed. mqadmin ends with status 0
// whatever happens.
func MQAdmin(t TB, args ...string) string {
	t.Helper()
	SkipIfOff(t)
	home := t.TempDir()
	argv := append(javaFlags(home), "-Djava.io.tmpdir="+home, "-Drocketmq.home.dir="+home, "-cp", javaLib(t, ClientV5)+"/*",
		"org.apache.rocketmq.tools.command.MQAdminStartup")
	cmd := exec.Command(javaBin(t), append(argv, args...)...)
	cmd.Dir = home
	dieWithParent(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mqadmin %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Go starts the Go driver (compat_tests/drivers/go, a module of its own).
func Go(t TB, verb string, args ...string) *Run {
	t.Helper()
	SkipIfOff(t)
	src := filepath.Join(mustRoot(t), "compat_tests", "drivers", "go")
	if _, err := os.Stat(filepath.Join(src, "go.mod")); err != nil {
		t.Fatalf("no Go driver: %v", err)
	}
	dir := cached(t, filepath.Join("go", "driver-"+mustFingerprint(t, src)), func(dir string) error {
		return run(src, tool(t, "go", "to build the Go driver"), "build", "-o", filepath.Join(dir, "driver"), ".")
	})
	home := t.TempDir()
	return startRun(t, "go", append([]string{filepath.Join(dir, "driver"), verb}, args...), home)
}

// Cpp starts the C++ driver: Python around the C++ client library of the PyPI
// package in drivers/cpp/requirements.txt.
func Cpp(t TB, verb string, args ...string) *Run {
	t.Helper()
	SkipIfOff(t)
	src := filepath.Join(mustRoot(t), "compat_tests", "drivers", "cpp")
	script := filepath.Join(src, "driver.py")
	if _, err := os.Stat(script); err != nil {
		t.Fatalf("no C++ driver: %v", err)
	}
	home := t.TempDir()
	python := filepath.Join(cppVenv(t, src), "venv", "bin", "python")
	return startRun(t, "c++", append([]string{python, "-u", script, verb}, args...), home)
}

// cppVenv makes the virtual environment once per requirements.txt.
func cppVenv(t TB, src string) string {
	t.Helper()
	want, hash := []string{"rocketmq==0.4.4"}, "0.4.4"
	req := filepath.Join(src, "requirements.txt")
	if _, err := os.Stat(req); err == nil {
		want, hash = []string{"-r", req}, mustFingerprint(t, req)
	}
	return cached(t, filepath.Join("cpp", hash), func(dir string) error {
		venv := filepath.Join(dir, "venv")
		if err := run(dir, tool(t, "python3", "to run the C++ driver"), "-m", "venv", venv); err != nil {
			return err
		}
		// `python -m pip`: scripts in bin/ carry the folder's name before the rename.
		args := append([]string{"-m", "pip", "install", "-q", "--disable-pip-version-check"}, want...)
		return run(dir, filepath.Join(venv, "bin", "python"), args...)
	})
}

func mustRoot(t TB) string {
	t.Helper()
	root, err := repoRoot()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return root
}

func mustFingerprint(t TB, paths ...string) string {
	t.Helper()
	hash, err := fingerprint(paths...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return hash
}
