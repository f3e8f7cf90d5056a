"""How the seed packs (its `preprocessing/`), written anew for the benchmark to compare with. Nothing else uses it.

Crops are written as JPEG files, then read, encoded a second time and put into an LMDB.
"""

import functools
import glob
import hashlib
import multiprocessing
import os
import pickle
import xml.etree.ElementTree as ElementTree

import cv2
import lmdb
import numpy as np


def seed_crop(image: np.ndarray, cx: float, cy: float, size: int, side: float, mean: tuple) -> np.ndarray:
    """A square of `side` pixels, padded by copying the whole frame into a larger one, resized."""
    height, width = image.shape[:2]
    xmin, ymin = cx - (side - 1) / 2, cy - (side - 1) / 2
    xmax, ymax = xmin + side - 1, ymin + side - 1
    left, top, right, bottom = (int(round(max(0., value))) for value in (-xmin, -ymin, xmax - width + 1, ymax - height + 1))
    xmin, xmax, ymin, ymax = (int(round(value)) for value in (xmin + left, xmax + left, ymin + top, ymax + top))
    if left or top or right or bottom:
        padded = np.zeros((height + top + bottom, width + left + right, 3), np.uint8)
        padded[top:top + height, left:left + width] = image
        padded[:top, left:left + width] = mean
        padded[top + height:, left:left + width] = mean
        padded[:, :left] = mean
        padded[:, left + width:] = mean
        image = padded
    return cv2.resize(image[ymin:ymax + 1, xmin:xmax + 1], (size, size))


def seed_write_crops(output: str, crop_size: int, folder: str) -> tuple:
    """First script: the crops of one video as JPEG files."""
    cv2.setNumThreads(0)
    save = os.path.join(output, os.path.basename(folder))
    os.makedirs(save, exist_ok=True)
    tracks = {}
    for path in sorted(glob.glob(os.path.join(folder, '*.JPEG'))):
        image = cv2.imread(path)
        mean = tuple(map(int, image.mean(axis=(0, 1))))
        root = ElementTree.parse(path.replace('Data', 'Annotations').replace('JPEG', 'xml')).getroot()
        name = root.find('filename').text
        for node in root.iter('object'):
            corners = [int(node.find('bndbox').find(tag).text) for tag in ('xmin', 'ymin', 'xmax', 'ymax')]
            track = int(node.find('trackid').text)
            tracks.setdefault(track, []).append(name)
            width, height = corners[2] - corners[0] + 1, corners[3] - corners[1] + 1
            margin = (width + height) / 2
            side = np.sqrt((width + margin) * (height + margin)) * crop_size / 127
            crop = seed_crop(image, (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2, crop_size, side, mean)
            cv2.imwrite(os.path.join(save, f'{name}.{track:02d}.x_{width:.2f}_{height:.2f}.jpg'), crop)
    return os.path.basename(folder), tracks


def seed_encode(folder: str) -> dict:
    """Second script: the files of one video, decoded and encoded again."""
    cv2.setNumThreads(0)
    return {hashlib.md5(path.encode()).digest(): cv2.imencode('.jpg', cv2.imread(path))[1].tobytes()
            for path in glob.glob(folder + '/*')}


def seed_pack(videos: list, output: str, crop_size: int, workers: int) -> int:
    """Both scripts one after the other; number of crops."""
    crops = os.path.join(output, 'crops')
    with multiprocessing.Pool(workers) as pool:
        metadata = list(pool.imap_unordered(functools.partial(seed_write_crops, crops, crop_size), videos))
    with open(os.path.join(output, 'meta_data.pkl'), 'wb') as file:
        pickle.dump(metadata, file)
    env = lmdb.open(os.path.join(output, 'seed.lmdb'), map_size=int(200e9))
    number = 0
    with multiprocessing.Pool(workers) as pool:
        for records in pool.imap_unordered(seed_encode, glob.glob(crops + '/*')):
            with env.begin(write=True) as txn:
                for key, value in records.items():
                    txn.put(key, value)
            number += len(records)
    env.close()
    return number
