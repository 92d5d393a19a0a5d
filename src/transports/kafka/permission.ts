/** What the cluster was asked for: who is refused is told what that takes. */
export interface Asked {
  /** One or several, as they are told. */
  readonly topic?: string | undefined
  readonly group?: string | undefined
  /** @default it reads */
  readonly writes?: boolean
}

/** A permission that a user has not. */
export interface Permission {
  /** As Kafka's ACLs name it. */
  readonly operation: 'READ' | 'WRITE'
  readonly resource: 'topic' | 'group' | 'transactional-id'
  readonly name: string
}

/** What was missing where the cluster answered with an error of this type; `undefined`: another kind of error. */
export function missingPermission(
  type: string | undefined,
  { topic, group, writes = false }: Asked,
): Permission | undefined {
  const name = (known: string | undefined) => known ?? 'NAME'
  switch (type) {
    case 'TOPIC_AUTHORIZATION_FAILED':
      return { operation: writes ? 'WRITE' : 'READ', resource: 'topic', name: name(topic) }
    // A producer may be one that may write to any topic.
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return writes ? { operation: 'WRITE', resource: 'topic', name: name(topic) } : undefined
    case 'GROUP_AUTHORIZATION_FAILED':
      return { operation: 'READ', resource: 'group', name: name(group) }
    case 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED':
      return { operation: 'WRITE', resource: 'transactional-id', name: name(undefined) }
    default:
      return undefined
  }
}
