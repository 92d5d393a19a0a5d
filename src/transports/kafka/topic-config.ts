import { askAny, type Cluster } from './cluster.ts'

/** Of a topic, in the protocol. */
const topicResource = 2

/** What topics are configured with: values as text, by topic and name. What a cluster does not know is left out. */
export async function configOf(
  cluster: Cluster,
  topics: readonly string[],
  names: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const asked = topics.map(name => ({ type: topicResource, name, configNames: names }))
  const { resources } = await askAny(cluster, node => node.describeConfigs({ resources: asked }))
  return new Map(
    resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  )
}

/** How long a topic keeps a record after the time that it is stamped with, ms; `undefined` where it deletes none for its age. */
export async function retentionOf(cluster: Cluster, topic: string): Promise<number | undefined> {
  const config = (await configOf(cluster, [topic], ['retention.ms', 'cleanup.policy'])).get(topic)
  const retention = Number(config?.get('retention.ms') ?? -1)
  const deletes = config?.get('cleanup.policy')?.includes('delete') ?? true
  return deletes && retention >= 0 ? retention : undefined
}
