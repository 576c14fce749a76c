package body

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zlib"
)

// RegisterBrokerBody is the body of REGISTER_BROKER. Java: RegisterBrokerBody.
type RegisterBrokerBody struct {
	FilterServerList            []string                              `json:"filterServerList"`
	TopicConfigSerializeWrapper TopicConfigAndMappingSerializeWrapper `json:"topicConfigSerializeWrapper"`
}

// maxInflated bounds what a compressed body may grow to.
const maxInflated = 64 << 20

// EncodeCompressed returns the binary form, deflated (spec/protocol.md 2.2). Java: RegisterBrokerBody.encode(true).
func (r *RegisterBrokerBody) EncodeCompressed() ([]byte, error) {
	var raw []byte
	put := func(b []byte) {
		raw = binary.BigEndian.AppendUint32(raw, uint32(len(b)))
		raw = append(raw, b...)
	}
	version, err := Marshal(r.TopicConfigSerializeWrapper.DataVersion)
	if err != nil {
		return nil, err
	}
	put(version)
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(r.TopicConfigSerializeWrapper.TopicConfigTable)))
	for _, t := range r.TopicConfigSerializeWrapper.TopicConfigTable {
		text, err := t.Text()
		if err != nil {
			return nil, err
		}
		put([]byte(text))
	}
	filters, err := Marshal(r.FilterServerList)
	if err != nil {
		return nil, err
	}
	put(filters)
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(r.TopicConfigSerializeWrapper.TopicQueueMappingInfoMap)))
	for _, m := range r.TopicConfigSerializeWrapper.TopicQueueMappingInfoMap {
		put(m)
	}
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write(raw); err != nil {
		return nil, fmt.Errorf("cannot compress the registration: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("cannot compress the registration: %w", err)
	}
	return out.Bytes(), nil
}

var errRegister = errors.New("cannot decode RegisterBrokerBody: it is cut short")

// DecodeCompressed is the reverse of EncodeCompressed. withMapping says that mappings of static topics follow the
// filter servers, as senders from 5.0.0 on write them.
func (r *RegisterBrokerBody) DecodeCompressed(b []byte, withMapping bool) error {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("cannot decompress the registration: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
	if err != nil {
		return fmt.Errorf("cannot decompress the registration: %w", err)
	}
	if len(raw) > maxInflated {
		return fmt.Errorf("cannot decompress the registration: more than %d bytes", maxInflated)
	}
	w := &r.TopicConfigSerializeWrapper
	part, raw, err := takePart(raw)
	if err == nil {
		err = Unmarshal(part, &w.DataVersion)
	}
	if err != nil {
		return err
	}
	n, raw, err := takeCount(raw)
	if err != nil {
		return err
	}
	w.TopicConfigTable = make(map[string]*TopicConfig, min(n, 1<<16))
	for range n {
		if part, raw, err = takePart(raw); err != nil {
			return err
		}
		t, err := ParseTopicText(string(part))
		if err != nil {
			return err
		}
		w.TopicConfigTable[t.TopicName] = t
	}
	if part, raw, err = takePart(raw); err != nil {
		return err
	}
	if err := Unmarshal(part, &r.FilterServerList); err != nil {
		return err
	}
	if !withMapping || len(raw) == 0 {
		return nil
	}
	return w.takeMappings(raw)
}

func (w *TopicConfigAndMappingSerializeWrapper) takeMappings(raw []byte) error {
	n, raw, err := takeCount(raw)
	if err != nil {
		return err
	}
	w.TopicQueueMappingInfoMap = map[string]Raw{}
	for range n {
		var part []byte
		if part, raw, err = takePart(raw); err != nil {
			return err
		}
		var m struct {
			Topic string `json:"topic"`
		}
		if err := Unmarshal(part, &m); err != nil {
			return err
		}
		std, err := standard(part)
		if err != nil {
			return err
		}
		w.TopicQueueMappingInfoMap[m.Topic] = append(Raw(nil), std...)
	}
	return nil
}

func takeCount(b []byte) (int, []byte, error) {
	if len(b) < 4 {
		return 0, nil, errRegister
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || n > len(b) {
		return 0, nil, errRegister
	}
	return n, b[4:], nil
}

func takePart(b []byte) ([]byte, []byte, error) {
	n, rest, err := takeCount(b)
	if err != nil || n > len(rest) {
		return nil, nil, errRegister
	}
	return rest[:n], rest[n:], nil
}

// Text returns the form of a topic in compressed registrations: name, queues, perm, filter type and
// attributes, separated by blanks. Java: TopicConfig.encode.
func (t *TopicConfig) Text() (string, error) {
	attributes, err := Marshal(t.Attributes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %d %d %s %s", t.TopicName, t.ReadQueueNums, t.WriteQueueNums, t.Perm, t.TopicFilterType, attributes), nil
}

// ParseTopicText is the reverse of TopicConfig.Text; attributes may be missing.
func ParseTopicText(s string) (*TopicConfig, error) {
	f := strings.SplitN(s, " ", 6)
	if len(f) < 5 {
		return nil, fmt.Errorf("cannot parse topic %.100q", s)
	}
	t := NewTopicConfig(f[0])
	for i, dst := range []*int32{&t.ReadQueueNums, &t.WriteQueueNums, &t.Perm} {
		n, err := strconv.ParseInt(f[i+1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("cannot parse topic %.100q", s)
		}
		*dst = int32(n)
	}
	t.TopicFilterType = f[4]
	if len(f) == 6 {
		if err := Unmarshal([]byte(f[5]), &t.Attributes); err != nil {
			t.Attributes = map[string]string{} // Java logs and goes on
		}
	}
	return &t, nil
}
