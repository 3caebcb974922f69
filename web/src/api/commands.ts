// Commands for a device.
import { ask } from './client'

export type CommandState = 'queued' | 'sent' | 'answered' | 'failed' | 'expired' | 'unknown' | 'cancelled'

export interface DeviceCommand {
  number: number
  type: string
  attributes: Record<string, string>
  text: string | null
  repeatable: boolean
  state: CommandState
  created: number
  expires: number
  sent: number | null
  answered: number | null
  answer: string | null
  reason: string | null
  by: string
  attempts: number
}

export interface Attribute {
  name: string
  /** Whether it must be given. */
  required: boolean
}
export interface CommandType {
  type: string
  attributes: Attribute[]
  meaning: string
}
export interface CommandTypes {
  protocol?: string
  connected: boolean
  types: CommandType[]
}
export interface WantedCommand {
  type?: string
  attributes?: Record<string, string>
  text?: string
  ttl_s?: number
  repeatable?: boolean
}

const PATH = '/api/v1/devices/{id}/commands'

/** What a device can be told, and whether it is here to be told. */
export async function commandTypes(id: string): Promise<CommandTypes> {
  return (await (await ask('get', `${PATH}/types`, { path: { id } })).json()) as CommandTypes
}

export async function commands(id: string): Promise<DeviceCommand[]> {
  const page = (await (await ask('get', PATH, { path: { id }, query: { limit: 100 } })).json()) as { commands: DeviceCommand[] }
  return page.commands
}

export async function send(id: string, body: WantedCommand): Promise<void> {
  await ask('post', PATH, { path: { id }, body })
}

export async function callOff(id: string, number: number): Promise<void> {
  await ask('delete', `${PATH}/{number}`, { path: { id, number } })
}
