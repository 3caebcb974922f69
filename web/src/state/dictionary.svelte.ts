// The dictionary of parameters, as the server has it: names, types, units.
import { api, type Schemas } from '../api/client'

export type Parameter = Schemas['ToldParameter']

class Dictionary {
  all = $state.raw<Parameter[]>([])
  /** What the sensors of the device that is looked at show, under the names that records have for it. */
  #sensors = $state.raw(new Map<string, Parameter>())
  #byName = new Map<string, Parameter>()
  #asked: Promise<void> | undefined

  load(): Promise<void> {
    this.#asked ??= api.get('/api/v1/parameters').then((all) => {
      this.#byName = new Map(all.map((parameter) => [parameter.name, parameter]))
      this.all = all
    }, (error: unknown) => {
      this.#asked = undefined
      throw error
    })
    return this.#asked
  }

  /** Takes in what a device has besides the dictionary. */
  async sensorsOf(device: string): Promise<void> {
    const all = await api.get('/api/v1/devices/{id}/sensors', { path: { id: device } })
    const told = all.map(({ name, unit, formula, calibration }) =>
      ({ name: `sensor.${name}`, kind: 'number', unit: unit || 'count', meaning: formula ?? calibration?.parameter ?? '' }))
    this.#sensors = new Map(told.map((one) => [one.name, one]))
  }

  /** What is known of `temperature.1`, whose entry is `temperature.{n}`. */
  of(name: string): Parameter | undefined {
    void this.all
    return this.#sensors.get(name) ?? this.#byName.get(name) ?? this.#byName.get(name.replace(/\.\d+$/, '.{n}')) ?? this.#byName.get(name.replace(/\.\d+$/, '.{zone}'))
  }

  unit(name: string): string {
    return this.of(name)?.unit ?? ''
  }

  /** Gets it if it can: names without it are shown as they are. */
  want(): void {
    void this.load().catch(() => undefined)
  }
}

export const dictionary = new Dictionary()
