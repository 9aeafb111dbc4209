// LeaderWorkerSet, of which tests take the CRD from the Go module proxy: no code of ours, only the version.
module splai.dev/local-cluster/lws

go 1.26.0

require sigs.k8s.io/lws v0.7.0
