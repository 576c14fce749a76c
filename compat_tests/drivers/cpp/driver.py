"""Driver around the stock C++ client (librocketmq, as bundled by the PyPI package rocketmq) for the
compatibility tests.

Called as `driver.py <verb> key=value ...`; prints one JSON object per line on stdout and holds no
assertions. It stops when its verb is done, when stdin reaches its end or after timeout milliseconds.
Exit codes: 0 normal end, 1 failure (reported as an error event), 2 unknown verb or option.

The library gives no queue id in a send result and no list of a message's properties. So "sent" carries
queueId only where the driver chose the queue itself (queue=, sharding=), and "msg" carries the
well-known properties and those named by getprops=a,b.
"""

import json
import os
import sys
import threading
import time


class Usage(Exception):
    """A call that this driver does not understand."""


class Args:
    """The key=value words of a call; remembers which ones somebody asked for."""

    def __init__(self, words):
        self.values = {}
        self.known = set()
        self.bad = []
        for word in words:
            key, eq, value = word.partition("=")
            if eq:
                self.values[key] = value
            else:
                self.bad.append(word)

    def str(self, key, default=""):
        self.known.add(key)
        return self.values.get(key, default)

    def num(self, key, default=0):
        value = self.str(key, None)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            self.bad.append("%s=%s" % (key, value))
            return default

    def with_prefix(self, prefix):
        found = {k[len(prefix):]: v for k, v in self.values.items() if k.startswith(prefix)}
        self.known.update(prefix + k for k in found)
        return found

    def check(self, *required):
        bad = self.bad + [k + " is missing" for k in required if not self.values.get(k)]
        bad += [k for k in self.values if k not in self.known]
        if bad:
            raise Usage("cannot use " + ", ".join(sorted(bad)))


class Events:
    """Writes lines whole, from any thread."""

    def __init__(self, out):
        self.out = out
        self.lock = threading.Lock()

    def emit(self, **event):
        line = json.dumps(event, ensure_ascii=False)
        with self.lock:
            self.out.write(line + "\n")
            self.out.flush()


STATUS = ["SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE"]
WELL_KNOWN = ["KEYS", "TAGS", "UNIQ_KEY", "WAIT", "DELAY", "RETRY_TOPIC", "REAL_TOPIC", "REAL_QID",
              "ORIGIN_MESSAGE_ID", "RECONSUME_TIME", "SHARDING_KEY", "MIN_OFFSET", "MAX_OFFSET"]
LAST_RESULT = 0.5  # seconds left to the client between the last callback's return and shutdown


class Sending:
    """One run of a load through a producer."""

    def __init__(self, args, out, stop):
        self.out, self.stop = out, stop
        self.namesrv = args.str("namesrv")
        self.group = args.str("group", "cpp_producer")
        self.topic = args.str("topic")
        self.mode = args.str("mode", "sync")
        self.prefix = args.str("prefix", "m")
        self.count = args.num("count", 1)
        self.batch = args.num("batch", 10)
        self.size = args.num("size", 0)
        tags = args.str("tags") or args.str("tag")
        self.tags = tags.split(",") if tags else []
        self.keys = args.num("keys")
        self.forever = args.num("forever")
        self.delay = args.num("delay")
        self.queue = args.num("queue", -1)
        self.sharding = args.num("sharding")
        self.rate = args.num("rate")
        self.retries = args.num("retries", 2)
        self.props = args.with_prefix("prop.")
        args.check("namesrv", "topic")
        if self.mode not in ("sync", "async", "oneway", "batch"):
            raise Usage("mode " + self.mode)
        self.acked = 0
        self.held = {}
        self.lock = threading.Lock()
        self.open = threading.Semaphore(64)  # asynchronous sends under way

    def run(self):
        from rocketmq.client import Producer
        self.producer = Producer(self.group)
        self.producer.set_namesrv_addr(self.namesrv)
        self.producer.start()
        step = self.batch if self.mode == "batch" else 1
        start, i = time.monotonic(), 0
        while (self.forever or i < self.count) and not self.stop.is_set():
            if self.rate:
                self.stop.wait(max(0, start + i / self.rate - time.monotonic()))
            n = step if self.forever else min(step, self.count - i)
            self.send(list(range(i, i + n)))
            i += step
        for _ in range(64):
            self.open.acquire()
        self.producer.shutdown()
        self.out.emit(event="done", acked=self.acked)

    def body(self, i):
        text = "%s-%d" % (self.prefix, i)
        return text + "." * (self.size - len(text.encode()))

    def message(self, i):
        from rocketmq.client import Message
        m = Message(self.topic)
        m.set_body(self.body(i))
        if self.tags:
            m.set_tags(self.tags[i % len(self.tags)])
        if self.keys:
            m.set_keys("%s-k%d" % (self.prefix, i))
        if self.delay:
            m.set_delay_time_level(self.delay)
        if self.sharding:
            m.set_property("SHARDING_KEY", str(i % self.sharding))
        for key, value in self.props.items():
            m.set_property(key, value)
        return m

    def send(self, numbers):
        try:
            if self.mode == "async":
                self.send_async(numbers[0])
            elif self.mode == "oneway":
                self.send_oneway(numbers[0])
            elif self.mode == "batch":
                res = self.producer.send_batch([self.message(i) for i in numbers])
                self.sent(numbers, res, None)
            else:
                self.send_sync(numbers[0])
        except Exception as e:  # every failure of the library is an event of the test
            self.failed(numbers, e)

    def selector(self, chosen):
        def choose(size, _msg, arg):
            import ctypes
            key = ctypes.cast(arg, ctypes.POINTER(ctypes.c_int))[0]
            chosen.append(self.queue if self.queue >= 0 else key % size)
            return chosen[-1]
        return choose

    def send_sync(self, i):
        if self.queue < 0 and not self.sharding:
            self.sent([i], self.producer.send_sync(self.message(i)), None)
            return
        chosen = []
        arg = i % self.sharding if self.sharding else 0
        res = self.producer.send_orderly(self.message(i), arg, self.retries, self.selector(chosen))
        self.sent([i], res, chosen[-1])

    def send_oneway(self, i):
        if self.queue < 0 and not self.sharding:
            self.producer.send_oneway(self.message(i))
        else:
            arg = i % self.sharding if self.sharding else 0
            self.producer.send_oneway_orderly(self.message(i), arg, self.selector([]))
        self.out.emit(event="sentOneway", body=self.body(i))

    def send_async(self, i):
        m = self.message(i)
        self.held[i] = m  # the library needs it until the answer

        def done(res):
            self.held.pop(i, None)
            self.sent([i], res, None)
            self.open.release()

        def failed(e):
            self.held.pop(i, None)
            self.failed([i], e)
            self.open.release()

        self.open.acquire()
        try:
            self.producer.send_async(m, done, failed)
        except Exception:
            self.open.release()
            raise

    def sent(self, numbers, res, queue):
        for j, i in enumerate(numbers):
            line = dict(event="sent", body=self.body(i), msgId=res.msg_id, queueOffset=res.offset + j,
                        status=STATUS[res.status])
            if queue is not None:
                line["queueId"] = queue
            self.out.emit(**line)
        with self.lock:
            self.acked += len(numbers)

    def failed(self, numbers, e):
        for i in numbers:
            self.out.emit(event="sendError", body=self.body(i), error="%s: %s" % (type(e).__name__, e))


class Reading:
    """One run of a push consumer."""

    def __init__(self, args, out, stop):
        self.out, self.stop = out, stop
        self.namesrv = args.str("namesrv")
        self.topic = args.str("topic")
        self.group = args.str("group")
        self.mode = args.str("mode", "concurrent")
        self.tag = args.str("tag", "*")
        self.expect = args.num("expect")
        self.fail_first = args.num("failFirst")
        self.instance = args.str("instance")
        self.batch_size = args.num("batchSize", 1)
        self.delay = args.num("delayMs") / 1000.0
        self.names = WELL_KNOWN + [n for n in args.str("getprops").split(",") if n]
        # The library has no setting for the place where a new group starts: it is the last offset.
        if args.str("from", "last") not in ("last", "first"):
            raise Usage("from")
        args.check("namesrv", "topic", "group")
        if self.mode not in ("concurrent", "orderly", "broadcast"):
            raise Usage("mode " + self.mode)
        self.received = 0
        self.lock = threading.Lock()

    def run(self):
        from rocketmq import ffi
        from rocketmq.client import PushConsumer
        model = ffi.MessageModel.BROADCASTING if self.mode == "broadcast" else ffi.MessageModel.CLUSTERING
        c = PushConsumer(self.group, orderly=self.mode == "orderly", message_model=model)
        c.set_namesrv_addr(self.namesrv)
        c.set_message_batch_max_size(self.batch_size)
        if self.instance:
            c.set_instance_name(self.instance)
        code = ffi.dll.Subscribe(c._handle, self.topic.encode(), self.tag.encode())
        if code != 0:
            raise RuntimeError("cannot subscribe to %s: %s" % (self.topic, code))
        # Not c.subscribe: its wrapper answers "success" to the library when the callback raises.
        c._register_callback(self.callback)
        c.start()
        self.out.emit(event="started")
        self.stop.wait()
        time.sleep(LAST_RESULT)
        c.shutdown()
        self.out.emit(event="done", received=self.received)

    def callback(self, _consumer, handle):
        from rocketmq.client import RecvMessage
        try:
            if self.delay:
                time.sleep(self.delay)
            m = RecvMessage(handle)
            self.out.emit(**self.line(m))
            later = m.reconsume_times < self.fail_first
        except Exception as e:
            self.out.emit(event="error", error="%s: %s" % (type(e).__name__, e))
            later = True
        with self.lock:
            self.received += 1
            if self.expect and self.received >= self.expect:
                self.stop.set()
        return 1 if later else 0

    def line(self, m):
        def text(b):
            return b.decode("utf-8", "replace") if b is not None else ""
        props = {n: text(m.get_property(n)) for n in self.names}
        return dict(event="msg", body=text(m.body), topic=m.topic, tag=text(m.tags), keys=text(m.keys),
                    queueId=m.queue_id, queueOffset=m.queue_offset, msgId=m.id,
                    reconsumeTimes=m.reconsume_times, bornTimestamp=m.born_timestamp,
                    storeTimestamp=m.store_timestamp, recvTimestamp=int(time.time() * 1000),
                    props={k: v for k, v in props.items() if v})


def watch_stdin(stop):
    # Raw reads: a buffered stream's lock, held by this thread at exit, would abort the interpreter.
    while os.read(0, 4096):
        pass
    stop.set()


def own_stdout():
    """Keeps stdout for events and sends what the C++ library prints to stderr."""
    fd = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(fd, "w", encoding="utf-8")


def main(argv):
    out = Events(own_stdout())
    verbs = {"produce": Sending, "consume": Reading}
    stop = threading.Event()
    try:
        if not argv or argv[0] not in verbs:
            raise Usage("unknown verb in %r" % (argv,))
        args = Args(argv[1:])
        timeout = args.num("timeout", 60000)
        verb = verbs[argv[0]](args, out, stop)
        threading.Thread(target=watch_stdin, args=(stop,), daemon=True).start()
        timer = threading.Timer(timeout / 1000.0, stop.set)
        timer.daemon = True
        timer.start()
        verb.run()
        return 0
    except Usage as e:
        out.emit(event="error", error=str(e))
        return 2
    except Exception as e:
        out.emit(event="error", error="%s: %s" % (type(e).__name__, e))
        return 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # The library's threads outlive shutdown and its static destructors race with them: leave at once.
    os._exit(code)
