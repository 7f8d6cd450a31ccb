package main

import (
	"github.com/prometheus/procfs"
)

// usage is what a process has used up so far. It comes from /proc, so that it is
// absent anywhere but on Linux.
type usage struct {
	// CPU is in seconds, of all its threads.
	CPU float64
	// RSS is what it holds now, PeakRSS the most that it ever held, in bytes.
	RSS, PeakRSS float64
}

// usageOf returns the usage of a process; false when it cannot be known.
func usageOf(pid int) (usage, bool) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return usage{}, false
	}
	stat, err := proc.Stat()
	if err != nil {
		return usage{}, false
	}
	status, err := proc.NewStatus()
	if err != nil {
		return usage{}, false
	}
	return usage{CPU: stat.CPUTime(), RSS: float64(status.VmRSS), PeakRSS: float64(status.VmHWM)}, true
}

// cpuWithChildren is the processor time in seconds of a server that works in
// child processes, those that have ended included.
func cpuWithChildren(pid int) (float64, bool) {
	all, err := procfs.AllProcs()
	if err != nil {
		return 0, false
	}
	const ticks = 100 // of a second: the kernel's USER_HZ, the same on every Linux
	total, found := 0.0, false
	for _, proc := range all {
		stat, err := proc.Stat()
		switch {
		case err != nil:
		case proc.PID == pid:
			total, found = total+stat.CPUTime()+float64(stat.CUTime+stat.CSTime)/ticks, true
		case stat.PPID == pid:
			total += stat.CPUTime()
		}
	}
	return total, found
}

// loadAverage is the machine's, of the last minute; false when it cannot be known.
func loadAverage() (float64, bool) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, false
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return 0, false
	}
	return load.Load1, true
}
