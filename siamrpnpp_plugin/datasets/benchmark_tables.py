"""Facts of tracking benchmarks that their folders do not hold: lists of sequences, ranges of frames, attributes."""


def _words(text: str) -> tuple:
    return tuple(text.split())


def _pairs(text: str) -> dict:
    """name -> value of words `name:value`."""
    return dict(word.split(':') for word in text.split())


def _ranges(text: str) -> dict:
    """name -> (folder, first frame, last frame) of words `name:last`, or `folder_k:first-last` where sequences share a folder."""
    found = {}
    for name, value in _pairs(text).items():
        first, _, last = value.rpartition('-')
        found[name] = (name.rpartition('_')[0] if first else name, int(first or 1), int(last))
    return found


# OTB-2015: targets and their attributes (Wu et al., TPAMI 2015). A number behind a dash is that of the file of boxes.
OTB100 = {name: tuple(value.split(',')) for name, value in _pairs("""
    Basketball:IV,OCC,DEF,OPR,BC Biker:SV,OCC,MB,FM,OPR,OV,LR Bird1:DEF,FM,OV Bird2:OCC,DEF,FM,IPR,OPR BlurBody:SV,DEF,MB,FM,IPR
    BlurCar1:MB,FM BlurCar2:SV,MB,FM BlurCar3:MB,FM BlurCar4:MB,FM BlurFace:MB,FM,IPR BlurOwl:SV,MB,FM,IPR
    Board:SV,MB,FM,OPR,OV,BC Bolt:OCC,DEF,IPR,OPR Bolt2:DEF,BC Box:IV,SV,OCC,MB,IPR,OPR,OV,BC,LR Boy:SV,MB,FM,IPR,OPR
    Car1:IV,SV,MB,FM,BC,LR Car2:IV,SV,MB,FM,BC Car24:IV,SV,BC Car4:IV,SV CarDark:IV,BC CarScale:SV,OCC,FM,IPR,OPR
    ClifBar:SV,OCC,MB,FM,IPR,OV,BC Coke:IV,OCC,FM,IPR,OPR,BC Couple:SV,DEF,FM,OPR,BC Coupon:OCC,BC Crossing:SV,DEF,FM,OPR,BC
    Crowds:IV,DEF,BC Dancer:SV,DEF,IPR,OPR Dancer2:DEF David:IV,SV,OCC,DEF,MB,IPR,OPR David2:IPR,OPR David3:OCC,DEF,OPR,BC
    Deer:MB,FM,IPR,BC,LR Diving:SV,DEF,IPR Dog:SV,DEF,OPR Dog1:SV,IPR,OPR Doll:IV,SV,OCC,IPR,OPR
    DragonBaby:SV,OCC,MB,FM,IPR,OPR,OV Dudek:SV,OCC,DEF,FM,IPR,OPR,OV,BC FaceOcc1:OCC FaceOcc2:IV,OCC,IPR,OPR Fish:IV
    FleetFace:SV,DEF,MB,FM,IPR,OPR Football:OCC,IPR,OPR,BC Football1:IPR,OPR,BC Freeman1:SV,IPR,OPR Freeman3:SV,IPR,OPR
    Freeman4:SV,OCC,IPR,OPR Girl:SV,OCC,IPR,OPR Girl2:SV,OCC,DEF,MB,OPR Gym:SV,DEF,IPR,OPR Human2:IV,SV,MB,OPR
    Human3:SV,OCC,DEF,OPR,BC Human4-2:IV,SV,OCC,DEF Human5:SV,OCC,DEF Human6:SV,OCC,DEF,FM,OPR,OV Human7:IV,SV,OCC,DEF,MB,FM
    Human8:IV,SV,DEF Human9:IV,SV,DEF,MB,FM Ironman:IV,SV,OCC,MB,FM,IPR,OPR,OV,BC,LR Jogging-1:OCC,DEF,OPR Jogging-2:OCC,DEF,OPR
    Jump:SV,OCC,DEF,MB,FM,IPR,OPR Jumping:MB,FM KiteSurf:IV,OCC,IPR,OPR Lemming:IV,SV,OCC,FM,OPR,OV
    Liquor:IV,SV,OCC,MB,FM,OPR,OV,BC Man:IV Matrix:IV,SV,OCC,FM,IPR,OPR,BC Mhyang:IV,DEF,OPR,BC
    MotorRolling:IV,SV,MB,FM,IPR,BC,LR MountainBike:IPR,OPR,BC Panda:SV,OCC,DEF,IPR,OPR,OV,LR RedTeam:SV,OCC,IPR,OPR,LR
    Rubik:SV,OCC,IPR,OPR Shaking:IV,SV,IPR,OPR,BC Singer1:IV,SV,OCC,OPR Singer2:IV,DEF,IPR,OPR,BC Skater:SV,DEF,IPR,OPR
    Skater2:SV,DEF,FM,IPR,OPR Skating1:IV,SV,OCC,DEF,OPR,BC Skating2-1:SV,OCC,DEF,FM,OPR Skating2-2:SV,OCC,DEF,FM,OPR
    Skiing:IV,SV,DEF,IPR,OPR Soccer:IV,SV,OCC,MB,FM,IPR,OPR,BC Subway:OCC,DEF,BC Surfer:SV,FM,IPR,OPR,LR Suv:OCC,IPR,OV
    Sylvester:IV,IPR,OPR Tiger1:IV,OCC,DEF,MB,FM,IPR,OPR Tiger2:IV,OCC,DEF,MB,FM,IPR,OPR,OV Toy:SV,FM,IPR,OPR
    Trans:IV,SV,OCC,DEF Trellis:IV,SV,IPR,OPR,BC Twinnings:SV,OPR Vase:SV,FM,IPR Walking:SV,OCC,DEF Walking2:SV,OCC,LR
    Woman:IV,SV,OCC,DEF,MB,FM,OPR
""").items()}

OTB50 = _words("""
    Basketball Biker Bird1 BlurBody BlurCar2 BlurFace BlurOwl Bolt Box Car1 Car4 CarDark CarScale ClifBar Couple Crowds David
    Deer Diving DragonBaby Dudek Football Freeman4 Girl Human3 Human4-2 Human6 Human9 Ironman Jump Jumping Liquor Matrix
    MotorRolling Panda RedTeam Shaking Singer2 Skating1 Skating2-1 Skating2-2 Skiing Soccer Surfer Sylvester Tiger2 Trellis
    Walking Walking2 Woman
""")

OTB13 = _words("""
    Basketball Bolt Boy Car4 CarDark CarScale Coke Couple Crossing David David2 David3 Deer Dog1 Doll Dudek FaceOcc1 FaceOcc2
    Fish FleetFace Football Football1 Freeman1 Freeman3 Freeman4 Girl Ironman Jogging-1 Jogging-2 Jumping Lemming Liquor Matrix
    Mhyang MotorRolling MountainBike Shaking Singer1 Singer2 Skating1 Skiing Soccer Subway Suv Sylvester Tiger1 Tiger2 Trellis
    Walking Walking2 Woman
""")

# First and last frame where a folder has more images than the benchmark uses (its README)
OTB_FRAMES = {'David': (300, 770), 'Diving': (1, 215), 'Football1': (1, 74), 'Freeman3': (1, 460), 'Freeman4': (1, 283)}

UAV123 = _ranges("""
    bike1:3085 bike2:553 bike3:433 bird1_1:1-253 bird1_2:775-1477 bird1_3:1573-2437 boat1:901 boat2:799 boat3:901 boat4:553
    boat5:505 boat6:805 boat7:535 boat8:685 boat9:1399 building1:469 building2:577 building3:829 building4:787 building5:481
    car1_1:1-751 car1_2:751-1627 car1_3:1627-2629 car2:1321 car3:1717 car4:1345 car5:745 car6_1:1-487 car6_2:487-1807
    car6_3:1807-2953 car6_4:2953-3925 car6_5:3925-4861 car7:1033 car8_1:1-1357 car8_2:1357-2575 car9:1879 car10:1405 car11:337
    car12:499 car13:415 car14:1327 car15:469 car16_1:1-415 car16_2:415-1993 car17:1057 car18:1207 group1_1:1-1333
    group1_2:1333-2515 group1_3:2515-3925 group1_4:3925-4873 group2_1:1-907 group2_2:907-1771 group2_3:1771-2683 group3_1:1-1567
    group3_2:1567-2827 group3_3:2827-4369 group3_4:4369-5527 person1:799 person2_1:1-1189 person2_2:1189-2623 person3:643
    person4_1:1-1501 person4_2:1501-2743 person5_1:1-877 person5_2:877-2101 person6:901 person7_1:1-1249 person7_2:1249-2065
    person8_1:1-1075 person8_2:1075-1525 person9:661 person10:1021 person11:721 person12_1:1-601 person12_2:601-1621
    person13:883 person14_1:1-847 person14_2:847-1813 person14_3:1813-2923 person15:1339 person16:1147 person17_1:1-1501
    person17_2:1501-2347 person18:1393 person19_1:1-1243 person19_2:1243-2791 person19_3:2791-4357 person20:1783 person21:487
    person22:199 person23:397 truck1:463 truck2:385 truck3:535 truck4_1:1-577 truck4_2:577-1261 uav1_1:1-1555 uav1_2:1555-2377
    uav1_3:2473-3469 uav2:133 uav3:265 uav4:157 uav5:139 uav6:109 uav7:373 uav8:301 wakeboard1:421 wakeboard2:733 wakeboard3:823
    wakeboard4:697 wakeboard5:1675 wakeboard6:1165 wakeboard7:199 wakeboard8:1543 wakeboard9:355 wakeboard10:469 car1_s:1475
    car2_s:320 car3_s:1300 car4_s:830 person1_s:1600 person2_s:250 person3_s:505
""")

UAV20L = _ranges("""
    bike1:3085 bird1:2437 car1:2629 car3:1717 car6:4861 car8:2575 car9:1879 car16:1993 group1:4873 group2:2683 group3:5527
    person2:2623 person4:2743 person5:2101 person7:2065 person14:2923 person17:2347 person19:4357 person20:1783 uav1:3469
""")

UAV_ATTRIBUTES = ('SV', 'ARC', 'LR', 'FM', 'FOC', 'POC', 'OV', 'BC', 'IV', 'VC', 'CM', 'SOB')  # order of the files in `att`

# Each of the 70 categories has the videos 1-20; these four are the test set of protocol II.
LASOT_TEST = {category: tuple(map(int, value.split(','))) for category, value in _pairs("""
    airplane:1,9,13,15 basketball:1,6,7,11 bear:2,4,6,17 bicycle:2,7,9,18 bird:2,3,15,17 boat:3,4,12,17 book:3,10,11,19
    bottle:1,12,14,18 bus:2,5,17,19 car:2,6,9,17 cat:1,3,18,20 cattle:2,7,12,13 chameleon:3,6,11,20 coin:3,6,7,18 crab:3,6,12,18
    crocodile:3,4,10,14 cup:1,4,7,17 deer:4,8,10,14 dog:1,7,15,19 drone:2,7,13,15 electricfan:1,10,18,20 elephant:1,12,16,18
    flag:2,3,5,9 fox:2,3,5,20 frog:3,4,9,20 gametarget:1,2,7,13 gecko:1,5,16,19 giraffe:2,10,13,15 goldfish:3,7,8,10
    gorilla:4,6,9,13 guitar:3,8,10,16 hand:2,3,9,16 hat:1,2,5,18 helmet:5,11,13,19 hippo:1,7,9,20 horse:1,4,12,15
    kangaroo:2,5,11,14 kite:4,6,10,15 leopard:1,7,16,20 licenseplate:6,12,13,15 lion:1,5,12,20 lizard:1,3,6,13
    microphone:2,6,14,16 monkey:3,4,9,17 motorcycle:1,3,9,18 mouse:1,8,9,17 person:1,5,10,12 pig:2,10,13,18 pool:3,7,12,15
    rabbit:10,13,17,19 racing:10,15,16,20 robot:1,5,8,19 rubicCube:1,6,14,19 sepia:6,8,13,16 shark:2,3,5,6 sheep:3,5,7,9
    skateboard:3,8,16,19 spider:14,16,18,20 squirrel:8,11,13,19 surfboard:4,5,8,12 swing:10,14,17,20 tank:6,9,14,16
    tiger:4,6,12,18 train:1,7,11,20 truck:3,6,7,16 turtle:5,8,9,16 umbrella:2,9,17,19 volleyball:1,13,18,19 yoyo:7,15,17,19
    zebra:10,14,16,17
""").items()}

# Some editions have one image more than boxes (its toolkit's issue 6); of monkey-17 the toolkit scores only frames with boxes.
LASOT_CUT = ('airplane-14', 'airplane-15', 'bus-4', 'monkey-17')

NFS = _words("""
    Gymnastics MachLoop_jet Skiing_red Skydiving airboard_1 airplane_landing airtable_3 basketball_1 basketball_2 basketball_3
    basketball_6 basketball_7 basketball_player basketball_player_2 beach_flipback_person bee biker_acrobat biker_all_1
    biker_head_2 biker_head_3 biker_upper_body biker_whole_body billiard_2 billiard_3 billiard_6 billiard_7 billiard_8 bird_2
    book bottle bowling_1 bowling_2 bowling_3 bowling_6 bowling_ball bunny car car_camaro car_drifting car_jumping
    car_rc_rolling car_rc_rotating car_side car_white cheetah cup cup_2 dog dog_1 dog_2 dog_3 dogs dollar drone ducks_lake exit
    first flower footbal_skill helicopter horse_jumping horse_running iceskating_6 jellyfish_5 kid_swing motorcross
    motorcross_kawasaki parkour person_scooter pingpong_2 pingpong_7 pingpong_8 purse rubber running running_100_m
    running_100_m_2 running_2 shuffleboard_1 shuffleboard_2 shuffleboard_4 shuffleboard_5 shuffleboard_6 shuffletable_2
    shuffletable_3 shuffletable_4 ski_long soccer_ball soccer_ball_2 soccer_ball_3 soccer_player_2 soccer_player_3 stop_sign suv
    tiger walking walking_3 water_ski_2 yoyo zebra_fish
""")
