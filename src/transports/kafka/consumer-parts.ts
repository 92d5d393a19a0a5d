import type { StartFrom } from '../../actors/contracts/broker.ts'
import { type Client, topicPatienceOf } from './client.ts'
import type { Cluster } from './cluster.ts'
import { Committer } from './committer.ts'
import { Fetcher } from './fetcher.ts'
import { type Member, Membership } from './group/membership.ts'
import { LeaseStart } from './lease-start.ts'
import { Offsets } from './offsets.ts'
import type { Asked } from './permission.ts'

/** What a consumer is made of once it is connected. */
export interface ConsumerParts {
  readonly clusterId: string
  readonly cluster: Cluster
  readonly offsets: Offsets
  readonly membership: Membership
  readonly committer: Committer
  readonly fetcher: Fetcher
  readonly starts: LeaseStart
}

/** Which member of which group it is. */
export interface ConsumerPartsOptions {
  readonly topics: readonly string[]
  readonly group: string
  readonly from: StartFrom
  /** ms */
  readonly sessionTimeout: number
  readonly asked: Asked
}

/** Connects, and makes them. @param check is called before each fetch */
export async function openParts(
  client: Client,
  { topics, group, from, sessionTimeout, asked }: ConsumerPartsOptions,
  member: Member,
  check: (parts: Pick<ConsumerParts, 'cluster' | 'starts'>) => void,
): Promise<ConsumerParts> {
  const { tuning, codecs } = client
  const { logger, patience } = tuning
  const { cluster, clusterId } = await client.connect(topics)
  const offsets = new Offsets(cluster, group)
  const heartbeatInterval = Math.min(tuning.heartbeatInterval, sessionTimeout / 3)
  const membership = new Membership({ cluster, group, sessionTimeout, heartbeatInterval, patience, logger }, member)
  const commit: Membership['commit'] = make => membership.commit(make)
  const starts = new LeaseStart({ offsets, from, commit, logger })
  const committer = new Committer({ commit, asked, metadataOf: ({ topic }) => starts.metadataOf(topic) })
  const fetcher = new Fetcher({
    cluster,
    codecs,
    ...tuning,
    topicPatience: topicPatienceOf(tuning),
    check: () => check({ cluster, starts }),
  })
  return { clusterId, cluster, offsets, membership, committer, fetcher, starts }
}
