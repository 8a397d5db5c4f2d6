package outbox

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame is a record in a segment: the length of the record, a checksum of length
// and record, the record. Numbers are little-endian. A length of zero is invalid,
// so that zeros, which a power cut may leave, are not read as a frame.
const (
	frameHeader = 8
	maxRecord   = 4 << 20
)

// castagnoli is the polynomial for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginFrame appends room for the header. The caller appends the record; endFrame,
// given the offset of the frame, fills in the header.
func beginFrame(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0, 0, 0, 0) }

func endFrame(dst []byte, start int) {
	frame := dst[start:]
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-frameHeader))
	binary.LittleEndian.PutUint32(frame[4:], checksum(frame))
}

func checksum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:4], castagnoli), castagnoli, frame[frameHeader:])
}

// frameAt returns the record of the frame at the beginning of data, or false if
// the frame is incomplete or does not match its checksum.
func frameAt(data []byte) (record []byte, ok bool) {
	if len(data) < frameHeader {
		return nil, false
	}
	length := binary.LittleEndian.Uint32(data)
	if length == 0 || length > maxRecord || int(length) > len(data)-frameHeader {
		return nil, false
	}
	frame := data[:frameHeader+int(length)]
	if checksum(frame) != binary.LittleEndian.Uint32(frame[4:]) {
		return nil, false
	}
	return frame[frameHeader:], true
}

// gap is a range of bytes that belongs to no frame.
type gap struct{ from, to int }

// scan calls found for every frame in data, from the offset on, and returns the
// offset after the last one and the gaps before that. After damage it tries every
// offset: within a record most lengths are out of range, and the checksum rejects
// the others.
func scan(data []byte, offset int, found func(offset int, record []byte)) (end int, gaps []gap) {
	end = offset
	for offset+frameHeader <= len(data) {
		record, ok := frameAt(data[offset:])
		if !ok {
			offset++
			continue
		}
		if offset > end {
			gaps = append(gaps, gap{end, offset})
		}
		found(offset, record)
		offset += frameHeader + len(record)
		end = offset
	}
	return end, gaps
}
