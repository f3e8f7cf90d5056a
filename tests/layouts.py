"""Small trees in the official layouts of training data sets, with the odd cases that each of them has.

Images are real JPEGs, clips real mp4 files. The colours of a frame tell its number: see `shade`.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from siamrpnpp_plugin.datasets.synthetic import Target, annotation_xml

WIDTH, HEIGHT = 160, 120
CLIP_RATE = 10  # frames per second


def shade(number: int) -> int:
    """The grey level of the middle of frame `number`, told apart after JPEG and mp4."""
    return 20 + number * 7 % 210


def picture(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) frame: noise around a grey middle."""
    noise = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = cv2.resize(noise, (WIDTH, HEIGHT))
    image[30:90, 40:120] = shade(number)
    return image


def write_image(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture(number), [cv2.IMWRITE_JPEG_QUALITY, 95])


def write_clip(path: Path, frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), CLIP_RATE, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number))
    writer.release()


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_frames(folder: Path, numbers: range, digits: int = 8) -> None:
    for number in numbers:
        write_image(folder / f'{number:0{digits}d}.jpg', number)


# ---- GOT-10k


def got10k_video(folder: Path, boxes: list, absence: list = None, cover: list = None,
                 size: str = f'({WIDTH}, {HEIGHT})') -> None:
    """One video; boxes are lines, counted from pixel 1."""
    write_frames(folder, range(1, len(boxes) + 1))
    write_text(folder / 'groundtruth.txt', '\n'.join(boxes) + '\n')
    for name, values in (('absence', absence or [0] * len(boxes)), ('cut_by_image', [0] * len(boxes)),
                         ('cover', cover or [8] * len(boxes))):
        write_text(folder / f'{name}.label', '\n'.join(map(str, values)) + '\n')
    write_text(folder / 'meta_info.ini', f'[METAINFO]\nurl: https://youtu.be/P-fKM-2DHoM\nbegin: 00:00:01\nend: 00:00:10\n'
               f'anno_fps: 10Hz\nobject_class: ctenophore\nmotion_class: swimming\nmajor_class: invertebrate\n'
               f'root_class: animal\nmotion_adverb: slowly\nresolution: {size}\n')


def write_got10k(root: Path, split: str = 'train') -> None:
    """Five videos: whole; absent, covered and zero-size frames; wrong length of a label; listed but not there; shrunk frames."""
    name, box = f'GOT-10k_{split.capitalize()}_', '41.0000,31.0000,40.0000,30.0000'
    got10k_video(root / split / f'{name}000001', [box, '43.0000,33.0000,40.0000,30.0000', box, box])
    got10k_video(root / split / f'{name}000002',
                 [box, '-1.0000,-1.0000,-1.0000,-1.0000', box, '41.0000,31.0000,0.0000,30.0000', box], absence=[0, 1, 0, 0, 0],
                 cover=[8, 0, 0, 8, 7])
    got10k_video(root / split / f'{name}000003', [box] * 3, cover=[8, 8])
    got10k_video(root / split / f'{name}000005', [box] * 2, size='(1920, 1080)')
    write_text(root / split / 'list.txt', ''.join(f'{name}{number:06d}\n' for number in (1, 2, 3, 4, 5)))


# ---- LaSOT


def lasot_video(folder: Path, boxes: list, full_occlusion: list = None, out_of_view: list = None, images: int = None) -> None:
    write_frames(folder / 'img', range(1, (images or len(boxes)) + 1))
    write_text(folder / 'groundtruth.txt', '\n'.join(boxes) + '\n')
    for name, values in (('full_occlusion', full_occlusion), ('out_of_view', out_of_view)):
        write_text(folder / f'{name}.txt', ','.join(map(str, values or [0] * len(boxes))))
    write_text(folder / 'nlp.txt', 'white airplane\n')


def write_lasot(root: Path) -> None:
    """Train videos: with hidden frames, nested less, with an image more than boxes; one of the test split, a foreign one."""
    box = '41,31,40,30'
    lasot_video(root / 'airplane/airplane-2', [box, box, '0,0,0,0', box, '45,31,40,30'],
                full_occlusion=[0, 1, 0, 0, 0], out_of_view=[0, 0, 1, 0, 0])
    lasot_video(root / 'zebra-1', [box] * 3)
    lasot_video(root / 'airplane/airplane-1', [box] * 3)
    lasot_video(root / 'bus/bus-4', [box] * 3, images=4)
    lasot_video(root / 'unicorn/unicorn-1', [box] * 3)


# ---- TrackingNet


def write_trackingnet(root: Path) -> None:
    """Two chunks: a whole video and an image of no frame, one still zipped, one with fewer boxes than frames; frames alone."""
    box = '40.5,30.25,40.0,30.5'
    for chunk, name, boxes, frames in ((0, 'aaaaaaaaaaa_0', 3, 3), (0, 'bbbbbbbbbbb_0', 3, 0), (3, 'ccccccccccc_1', 2, 3),
                                       (3, 'ddddddddddd_0', 0, 2)):
        if boxes:
            write_text(root / f'TRAIN_{chunk}/anno/{name}.txt', f'{box}\n' * boxes)
        for number in range(frames):
            write_image(root / f'TRAIN_{chunk}/frames/{name}/{number}.jpg', number)
    write_image(root / 'TRAIN_0/frames/aaaaaaaaaaa_0/cover.jpg')
    write_text(root / 'TRAIN_0/zips/bbbbbbbbbbb_0.zip', 'PK')


# ---- YouTube-BB


def write_ytbb(root: Path, header: bool = False) -> None:
    """Rows of every kind; videos as a clip, as a folder of frames, as youtube-bb-utility cuts them, and one not there."""
    shares = '0.25,0.5,0.25,0.5'
    rows = [f'clip0000-_A,{time},0,person,0,present,{shares}' for time in (0, 1000, 2000, 3000)]
    rows += ['clip0000-_A,4000,0,person,0,absent,-1.0,-1.0,-1.0,-1.0',
             'clip0000-_A,5000,0,person,0,uncertain,-1.0,-1.0,-1.0,-1.0',
             'clip0000-_A,6000,0,person,0,present,-1.0,-1.0,-1.0,-1.0', 'clip0000-_A,7000,0,person,0,present,0.5,0.25,0.25,0.5',
             'clip0000-_A,8000,0,person,0,present,0.25,1.5,0.25,0.5',
             'clip0000-_A,9000,0,person,0,present,0.25,0.5,0.25',
             'clip0000-_A,x,0,person,0,present,0.25,0.5,0.25,0.5', f'clip0000-_A,3000,0,person,0,present,{shares}',
             f'clip0000-_A,99000,0,person,0,present,{shares}', 'clip0000-_A,10000,0,person,0,visible,0.25,0.5,0.25,0.5']
    rows += [f'frames00000,{time},23,car,1,present,{shares}' for time in (13000, 14000, 15000)]
    rows += [f'gone0000000,{time},9,potted plant,0,present,{shares}' for time in (0, 1000)]
    rows += [f'utility0000,{time},9,potted plant,0,present,{shares}' for time in (7000, 8000)]
    rows += [f'clip0000-_A,{time},1,bird,0,present,0.3,0.4,0.3,0.4' for time in (2000, 1000)]  # another run of the first one
    columns = 'youtube_id,timestamp_ms,class_id,class_name,object_id,object_presence,xmin,xmax,ymin,ymax'
    write_text(root / 'yt_bb_detection_train.csv', '\n'.join(([columns] if header else []) + rows) + '\n')
    media = root / 'yt_bb_detection_train'
    write_clip(media / 'clip0000-_A.mp4', 36)
    for second in (13, 14):
        write_image(media / f'frames00000/{second}000.jpg', second)
    for second in (7, 8):
        write_image(media / f'9/utility0000_{second}000_9_0.jpg', second)


# ---- COCO


def coco_json() -> dict:
    """Instances of four images: crowd, zero-size, tiny, narrow, doubled, broken, of no image; an image without any."""
    images = [dict(id=number, file_name=f'{number:012d}.jpg', width=WIDTH, height=HEIGHT) for number in (9, 25, 30, 34)]
    boxes = [(9, (40.5, 30.25, 40, 30)), (9, (10, 10, 30, 60)), (25, (40, 30, 40, 30)), (25, (5, 5, 60, 40)),
             (25, (20, 20, 0, 30)), (30, (40, 30, 4, 4)), (30, (10, 10, 120, 12)), (99, (1, 2, 30, 40)), (25, (70, 30, 40, 30))]
    annotations = [dict(id=100 + index, image_id=image, bbox=list(box), category_id=1, iscrowd=int(index == 3), area=1.0,
                        segmentation=[[1.0, 2.0, 3.0, 4.0]]) for index, (image, box) in enumerate(boxes)]
    annotations.append(dict(annotations[0], image_id=25))
    annotations.append(dict(id=200, image_id=9, category_id=1))
    return dict(info=dict(year=2017, description='{"braces": [1]}'), licenses=[], images=images, annotations=annotations,
                categories=[dict(id=1, name='person', supercategory='person')])


def write_coco(root: Path, split: str = 'train2017') -> None:
    for image in coco_json()['images']:
        write_image(root / split / image['file_name'], image['id'])
    write_text(root / f'annotations/instances_{split}.json', json.dumps(coco_json()))


# ---- ILSVRC DET


def det_xml(stem: str, boxes: list) -> str:
    """As VID's files, but without `<trackid>`."""
    lines = annotation_xml('DET', stem, (WIDTH, HEIGHT), [Target(0, box, False) for box in boxes]).splitlines(keepends=True)
    return ''.join(line for line in lines if 'trackid' not in line)


def write_det(root: Path) -> None:
    """All kinds of folders; an image without objects, one without annotation, broken and lone annotations, a zero-size box."""
    good = {'ILSVRC2013_train/n01440764/n01440764_10026': [(40, 30, 79, 59), (10, 10, 69, 49)],
            'ILSVRC2014_train_0000/ILSVRC2014_train_00000001': [(40, 30, 79, 59), (30, 30, 29, 40)],
            'ILSVRC2014_train_0000/ILSVRC2014_train_00000002': [],
            'ILSVRC2014_train_0006/ILSVRC2014_train_00060000': [(0, 0, WIDTH - 1, HEIGHT - 1)]}
    for index, (name, boxes) in enumerate(good.items()):
        write_image(root / f'Data/DET/train/{name}.JPEG', index)
        write_text(root / f'Annotations/DET/train/{name}.xml', det_xml(name.rpartition('/')[2], boxes))
    write_image(root / 'Data/DET/train/ILSVRC2013_train_extra0/ILSVRC2013_train_00000001.JPEG')
    write_image(root / 'Data/DET/train/ILSVRC2014_train_0006/ILSVRC2014_train_00060001.JPEG')
    folder = root / 'Annotations/DET/train/ILSVRC2014_train_0006'
    write_text(folder / 'ILSVRC2014_train_00060002.xml', det_xml('x', [(1, 2, 30, 40)]))
    write_text(folder / 'ILSVRC2014_train_00060003.xml', '<annotation>')


# ---- own data


def write_csv(root: Path) -> None:
    """Two videos whose rows alternate; flags, a doubled row, malformed ones, an image that is not there."""
    rows = []
    for frame in range(3):
        rows += [f'car,{frame},car/{frame}.jpg,7,40,30,40,30,{int(frame == 1)},vehicle',
                 f'"dog, big",{frame},dog/{frame}.jpg,a,10,10,50,40,0,animal']
        write_image(root / f'car/{frame}.jpg', frame)
        write_image(root / f'dog/{frame}.jpg', frame)
    rows += ['car,2,car/2.jpg,7,40,30,40,30,0,vehicle', 'car,3,car/3.jpg,7,40,30,40,30,0,vehicle', 'car,4,car/3.jpg,7,40,30,40',
             'car,5,,7,40,30,40,30,0,vehicle', 'car,five,car/3.jpg,7,40,30,40,30,0,vehicle',
             'car,6,car/3.jpg,7,40,30,40,30,2,vehicle']
    write_text(root / 'annotations.csv', 'video,frame,image,track,x,y,width,height,occluded,category\n' + '\n'.join(rows) + '\n')


def write_coco_vid(root: Path) -> None:
    """Two videos, one with two instances; an instance twice in a frame, a crowd, an image of no video, an empty video."""
    images, annotations = [], []
    for video, frames in ((1, 3), (2, 2)):
        for frame in range(frames):
            name = f'v{video}/{frame:06d}.jpg'
            images.append(dict(id=len(images) + 1, video_id=video, frame_id=frame, file_name=name, width=WIDTH, height=HEIGHT))
            write_image(root / name, frame)
            for instance in range(3 - video):
                annotations.append(dict(
                    id=len(annotations) + 1, image_id=len(images), video_id=video, instance_id=10 * video + instance,
                    category_id=1, bbox=[40 + 10 * instance, 30, 40, 30], occluded=frame == 1, generated=False))
    images.append(dict(id=90, video_id=77, frame_id=0, file_name='v77/000000.jpg', width=WIDTH, height=HEIGHT))
    annotations.append(dict(annotations[0], id=500))
    annotations.append(dict(id=501, image_id=1, video_id=1, category_id=1, bbox=[1, 2, 30, 40]))
    annotations.append(dict(annotations[0], id=502, instance_id=77, iscrowd=1))
    videos = [dict(id=1, name='v1'), dict(id=2, name='v2'), dict(id=3, name='v3')]
    write_text(root / 'annotations.json', json.dumps(dict(videos=videos, images=images, annotations=annotations,
                                                          categories=[dict(id=1, name='car')])))
