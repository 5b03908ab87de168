package transport

import "twinbore/esp"

// workerShift is where in an SPI the bits begin that name its worker: the octets below are the receiver's to index by.
const workerShift = 20

// WorkerOf returns which of the n sockets of a group, from 0, gets the ESP packets of an SPI. Whoever chooses SPIs
// spreads them with it. What bears no SPI, IKE and keepalives, comes to socket 0.
func WorkerOf(spi esp.SPI, n int) int { return int(uint32(spi)>>workerShift) % n }
