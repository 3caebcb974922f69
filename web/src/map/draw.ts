// The signs on the map, drawn here: each state has a form of its own, so that nobody needs its colour to tell it.
import type { Map as MapLibre } from 'maplibre-gl'
import type { Palette } from './colours'

const RATIO = 2

function image(size: number, draw: (pen: CanvasRenderingContext2D) => void): ImageData {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = size * RATIO
  const pen = canvas.getContext('2d', { willReadFrequently: true })
  if (!pen) throw new Error('a canvas has no context')
  pen.scale(RATIO, RATIO)
  pen.translate(size / 2, size / 2)
  pen.lineJoin = pen.lineCap = 'round'
  draw(pen)
  return pen.getImageData(0, 0, size * RATIO, size * RATIO)
}

function circle(pen: CanvasRenderingContext2D, radius: number): void {
  pen.beginPath()
  pen.arc(0, 0, radius, 0, 2 * Math.PI)
}

function triangle(pen: CanvasRenderingContext2D, size: number): void {
  pen.beginPath()
  pen.moveTo(0, -size)
  pen.lineTo(size * 0.95, size * 0.72)
  pen.lineTo(-size * 0.95, size * 0.72)
  pen.closePath()
}

function exclamation(pen: CanvasRenderingContext2D, colour: string, scale: number): void {
  pen.strokeStyle = colour
  pen.lineWidth = 2 * scale
  pen.beginPath()
  pen.moveTo(0, -3.5 * scale)
  pen.lineTo(0, 0.6 * scale)
  pen.moveTo(0, 4 * scale)
  pen.lineTo(0, 4.05 * scale)
  pen.stroke()
}

function signs(c: Palette): Record<string, ImageData> {
  const moving = image(30, (pen) => {
    pen.fillStyle = c.moving
    pen.strokeStyle = c.surface
    pen.lineWidth = 2
    pen.beginPath()
    pen.moveTo(0, -11)
    pen.lineTo(8, 8.5)
    pen.quadraticCurveTo(0, 3.5, -8, 8.5)
    pen.closePath()
    pen.stroke()
    pen.fill()
  })
  const ring = (colour: string, dash: number[], width: number) =>
    image(24, (pen) => {
      pen.fillStyle = c.surface
      circle(pen, 7.5)
      pen.fill()
      pen.strokeStyle = colour
      pen.lineWidth = width
      pen.setLineDash(dash)
      circle(pen, 5.2)
      pen.stroke()
    })
  const alarm = image(32, (pen) => {
    triangle(pen, 11)
    pen.strokeStyle = c.surface
    pen.lineWidth = 4
    pen.stroke()
    pen.fillStyle = c.alarm
    pen.fill()
    pen.translate(0, 1)
    exclamation(pen, c.surface, 1)
  })
  const cluster = (colour: string, dash: number[], hasAlarm: boolean) =>
    image(52, (pen) => {
      pen.globalAlpha = 0.96
      pen.fillStyle = c.surface
      circle(pen, 18)
      pen.fill()
      pen.globalAlpha = 1
      pen.strokeStyle = colour
      pen.lineWidth = 2.5
      pen.setLineDash(dash)
      circle(pen, 18)
      pen.stroke()
      if (!hasAlarm) return
      pen.setLineDash([])
      pen.translate(14, -13)
      triangle(pen, 8)
      pen.strokeStyle = c.surface
      pen.lineWidth = 3
      pen.stroke()
      pen.fillStyle = c.alarm
      pen.fill()
      pen.translate(0, 0.6)
      exclamation(pen, c.surface, 0.7)
    })
  return {
    moving,
    stopped: ring(c.stopped, [], 3),
    no_signal: ring(c.silent, [2.2, 3.3], 2),
    alarm,
    'cluster-moving': cluster(c.moving, [], false),
    'cluster-stopped': cluster(c.stopped, [], false),
    'cluster-no_signal': cluster(c.silent, [4, 5], false),
    'cluster-alarm': cluster(c.alarm, [], true)
  }
}

export function addSigns(map: MapLibre, colours: Palette): void {
  for (const [name, sign] of Object.entries(signs(colours))) {
    if (!map.hasImage(name)) map.addImage(name, sign, { pixelRatio: RATIO })
  }
}
