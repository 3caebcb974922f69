#!/usr/bin/env python3
"""Makes roads.bin, the graph of main roads that simulated trucks drive on.

The source is OpenStreetMap's network of main roads (© OpenStreetMap contributors, Open Database License), as the package
`scgraph_data` of PyPI carries it: nodes to a thousandth of a degree, edges with their kilometres, shapes between junctions
left out. Here what lies within one cell of some 500 metres becomes one node (the ramps of an interchange, both carriageways
of a motorway), short dead ends and nodes on straight lines go, and islands without a usable network.

    pip download --no-deps scgraph_data==2.0.0 && python3 make.py scgraph_data-2.0.0-py3-none-any.whl

Layout of roads.bin, all numbers LEB128, those with a sign zigzag:

    "ODOROAD1" nodes { latitude - that before, longitude - that before: thousandths of a degree }
    for each node: neighbours that stand behind it { how far behind: node - the one before (first: this node) }
"""

import ast
import math
import sys
import zipfile

CELL = 0.005  # degrees of latitude: nodes of one cell that an edge joins are one
DEAD_END_KM = 4.0  # shorter ones lead nowhere that a truck would want to go
STRAIGHT_KM = 0.15  # a node this near to the line between its neighbours says nothing
ISLAND_NODES = 60


def distance(a, b):
    """Kilometres between two places."""
    (la, lo), (lb, lp) = a, b
    la, lo, lb, lp = map(math.radians, (la, lo, lb, lp))
    half = math.sin((lb - la) / 2) ** 2 + math.cos(la) * math.cos(lb) * math.sin((lp - lo) / 2) ** 2
    return 12742 * math.asin(math.sqrt(half))


def read(path):
    """Places and neighbours out of the package."""
    text = zipfile.ZipFile(path).read("scgraph_data/world_highways.py").decode()
    lines = dict(line.split("=", 1) for line in text.splitlines() if line.startswith(("graph=", "nodes=")))
    places = [tuple(place) for place in ast.literal_eval(lines["nodes"])]
    return places, [set(row) for row in ast.literal_eval(lines["graph"])]


def merged(places, rows):
    """One node for what one cell joins."""
    parent = list(range(len(places)))

    def root(node):
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def cell(place):
        return round(place[0] / CELL), round(place[1] * math.cos(math.radians(place[0])) / CELL)

    cells = [cell(place) for place in places]
    for node, row in enumerate(rows):
        for other in row:
            if cells[node] == cells[other]:
                parent[root(node)] = root(other)
    groups = {}
    for node in range(len(places)):
        groups.setdefault(root(node), []).append(node)
    number = {group: index for index, group in enumerate(groups)}
    centres = [
        tuple(sum(places[node][axis] for node in members) / len(members) for axis in (0, 1))
        for members in groups.values()
    ]
    joined = [set() for _ in centres]
    for node, row in enumerate(rows):
        for other in row:
            a, b = number[root(node)], number[root(other)]
            if a != b:
                joined[a].add(b)
                joined[b].add(a)
    return centres, joined


def drop(node, rows):
    for other in rows[node]:
        rows[other].discard(node)
    rows[node] = set()


def trimmed(places, rows):
    """Without short dead ends and nodes on straight lines."""
    waiting = [node for node, row in enumerate(rows) if len(row) == 1]
    while waiting:
        node = waiting.pop()
        if len(rows[node]) == 1:
            (other,) = rows[node]
            if distance(places[node], places[other]) < DEAD_END_KM:
                drop(node, rows)
                waiting.append(other)
    for node, row in enumerate(rows):
        if len(row) == 2:
            a, b = row
            if b in rows[a]:
                continue
            detour = distance(places[a], places[node]) + distance(places[node], places[b])
            straight = distance(places[a], places[b])
            off = math.sqrt(max(0.0, detour**2 - straight**2)) / 2
            if off < STRAIGHT_KM:
                drop(node, rows)
                rows[a].add(b)
                rows[b].add(a)


def mainlands(rows):
    """The nodes of networks that are worth driving on."""
    seen, kept = [False] * len(rows), []
    for start in range(len(rows)):
        if seen[start]:
            continue
        seen[start], island = True, [start]
        for node in island:
            for other in rows[node]:
                if not seen[other]:
                    seen[other] = True
                    island.append(other)
        if len(island) >= ISLAND_NODES:
            kept += island
    return kept


def curve(place):
    """Place on a Z-shaped curve, so that neighbours on the map are neighbours in the file."""
    y, x = round((place[0] + 90) * 1000) >> 5, round((place[1] + 180) * 1000) >> 5
    return sum(((x >> bit & 1) << 2 * bit) | ((y >> bit & 1) << (2 * bit + 1)) for bit in range(16))


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return out


def zigzag(number):
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def main():
    places, rows = merged(*read(sys.argv[1]))
    trimmed(places, rows)
    order = sorted(mainlands(rows), key=lambda node: (curve(places[node]), places[node]))
    number = {node: index for index, node in enumerate(order)}
    out = bytearray(b"ODOROAD1") + varint(len(order))
    before = (0, 0)
    for node in order:
        place = tuple(round(degrees * 1000) for degrees in places[node])
        out += zigzag(place[0] - before[0]) + zigzag(place[1] - before[1])
        before = place
    edges = 0
    for index, node in enumerate(order):
        behind = sorted(number[other] for other in rows[node] if number[other] > index)
        out += varint(len(behind))
        last = index
        for other in behind:
            out += varint(other - last)
            last = other
        edges += len(behind)
    with open("roads.bin", "wb") as file:
        file.write(out)
    print(f"{len(order)} nodes, {edges} edges, {len(out)} bytes")


if __name__ == "__main__":
    main()
