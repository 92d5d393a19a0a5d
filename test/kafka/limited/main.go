// Command limited is a broker in memory that speaks no newer versions of the protocol than Redpanda does: what cannot be
// started for a test can be stood in for this far. Its first argument is the port.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

// By API key, the newest version in Redpanda's sources of December 2024.
var redpanda = map[int16]int16{
	0: 7, 1: 11, 2: 4, 3: 8, // Produce, Fetch, ListOffsets, Metadata
	8: 8, 9: 7, 10: 3, // OffsetCommit, OffsetFetch, FindCoordinator
	11: 6, 12: 4, 13: 4, 14: 4, // JoinGroup, Heartbeat, LeaveGroup, SyncGroup
	19: 6, 20: 5, 37: 3, // CreateTopics, DeleteTopics, CreatePartitions
	32: 4, 33: 2, // DescribeConfigs, AlterConfigs
	22: 3, 24: 3, 25: 1, 26: 3, 28: 3, // InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	// Without what came after it, above all the new group protocol.
	versions := kversion.V3_0_0()
	for key, version := range redpanda {
		versions.SetMaxKeyVersion(key, version)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.MaxVersions(versions),
		kfake.GroupMinSessionTimeout(6*time.Second),
		kfake.GroupMaxSessionTimeout(300*time.Second),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer cluster.Close()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	<-interrupted
}
